"""The board's flash, through esptool: writes what differs, erases, reads."""

import os
import shlex
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import esptool
import serial
from esptool import cmds
from esptool.loader import DEFAULT_TIMEOUT
from esptool.logger import log
from esptool.util import UnsupportedCommandError
from serial import rfc2217

from mgbuild.device import ports
from mgbuild.errors import UserError
from mgbuild.firmware.image import CHIP, MEGABYTE
from mgbuild.plan import dataset, settings_table
from mgbuild.plan.settings_table import Table

FIRMWARE_OFFSET, FIRMWARE_SEARCHED = 0x1000, 0x10000  # bytes; the ROM fixes the first
LAYOUT_MAGIC = b"MGLAYOUT"  # of struct board_layout in src_c/board/esp32/dataset.c
ROM_BAUD = 115200  # the loader's, before it is told another
CONNECT_ATTEMPTS = 7
BARE_SOCKET = "socket:"  # no baud rate paces what it carries, and a receiver's buffer runs over: short packets alone
SOCKET_RAM_BLOCK = 64  # bytes; with its frame less than the ROM's 256 (RX_BUFF_SIZE in ESP-IDF's rom/uart.h)
SOCKET_FLASH_BLOCK = 1024  # bytes, to esptool's stub
START_SECONDS = 1.0  # within which a chip that was reset is heard
WITH_LINES = (serial.Serial, rfc2217.Serial)  # ports whose DTR and RTS may reset a chip into its loader
LOST = (esptool.FatalError, UnsupportedCommandError, *ports.FAILURES)

NO_ANSWER = (
    "the chip on {port} does not answer; hold its BOOT button down, press EN (RST) once, and let BOOT go when writing "
    "begins; if that does not help: a cable that carries data, the right port, nothing wired to GPIO0, 2, 12 or 15"
)
STARTED = "done: the program starts"
NOT_STARTED = "done: now press EN (RST) on the board to start the program, for this port could not reset it"


@dataclass(frozen=True)
class Part:
    """A file and its place in flash."""

    name: str
    offset: int  # bytes from the start of flash, a multiple of 4096
    path: Path


@dataclass(frozen=True)
class Installed:
    """What the firmware on a board says of itself."""

    offset: int  # of the data set in flash
    flash_bytes: int  # that the firmware was made for
    banks: tuple[int, ...]  # bytes of memory for the model
    checkpoints: int  # their offset in flash
    options: Table  # that it starts with


def command(parts: Sequence[Part], port: str, baud: int) -> str:
    """The esptool command that does the same as `write`, for those who want it by hand."""
    words = ["esptool", "--chip", CHIP, "--port", port, "--baud", str(_rate(port, baud)), "write-flash"]
    for part in parts:
        words += [f"{part.offset:#x}", str(part.path)]
    return shlex.join(words)


def write(parts: Sequence[Part], port: str, baud: int, flash_bytes: int) -> None:
    """Write the parts that differ from what is in flash, check them, and start the program.

    `flash_bytes` is the size of flash that the image was made for. Raises UserError for a port that does not open, a
    chip that is silent or no ESP32, too small a flash, and whatever ends the writing, naming what may be half-written.
    """
    contents = {part: _contents(part) for part in parts}
    print(f"the same by hand: {command(parts, port, baud)}", flush=True)
    with connected(port, baud) as board:
        board.write(contents, flash_bytes)
        start(board)


def write_dataset(path: Path, port: str, baud: int, library: Path) -> None:
    """Write a packed data set alone; raises UserError as `write`, or if the firmware on the board cannot learn it.

    library: libmicrogpt.so, which plans the memory as the firmware will.
    """
    header = dataset.read_header(path.read_bytes())
    with connected(port, baud) as board:
        firmware = installed(board.read(FIRMWARE_OFFSET, FIRMWARE_SEARCHED))
        if firmware is None:
            raise UserError(f"there is no firmware of this project on the board at {port}; write both: scons flash")
        check_fit(firmware, header, library)
        part = Part("data set", firmware.offset, path)
        print(f"the same by hand: {command([part], port, baud)}", flush=True)
        board.write({part: _contents(part)}, firmware.flash_bytes)
        start(board)


def installed(image: bytes) -> Installed | None:
    """What the firmware in an image says of itself, or None when there is no firmware of this project in it."""
    at, options = image.find(LAYOUT_MAGIC), settings_table.find(image)
    if at < 0 or options is None:
        return None
    offset, flash_bytes, *banks, kept = struct.unpack_from("<5I", image, at + len(LAYOUT_MAGIC))
    return Installed(offset, flash_bytes, tuple(banks), kept, options)


def read_mode(image: bytes) -> dict[str, str]:
    """How the ROM is told to read flash by an image's header: mode and frequency, as the options name them.

    Raises UserError for an image that names others than the build does.
    """
    modes = {0: "qio", 1: "qout", 2: "dio", 3: "dout"}
    frequencies = {0: "40m", 1: "26m", 2: "20m", 15: "80m"}
    try:
        return {"mode": modes[image[2]], "frequency": frequencies[image[3] & 15]}
    except KeyError:
        raise UserError("the firmware's image has a flash mode that this build does not know: scons flash") from None


def check_fit(firmware: Installed, header: dataset.Header, library: Path) -> None:
    """Raise UserError, with what would fit, unless a firmware has room for its model on this text."""
    from microgpt import plan  # here, so that what needs no plan needs no library

    sizes = {name: getattr(firmware.options, name) for name in ("n_embd", "n_head", "n_layer", "block_size", "steps")}
    found = plan(firmware.banks, path=library, vocab_size=header.num_chars + 1, documents=header.num_docs, **sizes)
    if not found.fits:
        options = " ".join(f"{name}={value}" for name, value in sizes.items())
        raise UserError(
            f"this text does not fit the firmware on the board, which starts with {options}: {found.sentence}; "
            "build and write both: scons flash dataset=..."
        )


def erase(port: str, baud: int) -> None:
    """Erase all of the flash; raises UserError as `write` does."""
    with connected(port, baud) as board:
        print("erasing the whole flash; this takes up to a minute", flush=True)
        board.erase()
    print("done: the flash is empty", flush=True)


class Board:
    """A chip that runs esptool's stub: one connection, which lasts for all that a command wants of its flash."""

    def __init__(self, port: str, line: serial.SerialBase, baud: int) -> None:
        self.unfinished = ""  # name of the part that is being written
        self._line = line
        loader = _detected(port, line)
        if loader.CHIP_NAME != "ESP32":
            raise UserError(f"the chip on {port} is an {loader.CHIP_NAME}; this firmware is for the ESP32 alone")
        if port.startswith(BARE_SOCKET):
            loader.ESP_RAM_BLOCK = SOCKET_RAM_BLOCK
        self._loader = cmds.run_stub(loader)
        if port.startswith(BARE_SOCKET):
            self._loader.FLASH_WRITE_SIZE = SOCKET_FLASH_BLOCK
        self.set_rate(baud)
        cmds.attach_flash(self._loader)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the flash from `offset` on."""
        return cmds.read_flash(self._loader, offset, length, output=None)

    def write(self, contents: Mapping[Part, bytes], flash_bytes: int) -> None:
        """Write the parts that differ; raises UserError when the flash has fewer than `flash_bytes`."""
        _check_flash(self._loader, flash_bytes)
        for part, data in contents.items():
            if self._loader.flash_md5sum(part.offset, len(data)) == md5(data).hexdigest():
                print(f"{part.name}: unchanged, {len(data):,} bytes at {part.offset:#x}", flush=True)
                continue
            print(f"{part.name}: writing {len(data):,} bytes at {part.offset:#x}", flush=True)
            self.unfinished = part.name
            with _progress():
                cmds.write_flash(self._loader, [(part.offset, data)])  # reads its MD5 back
            self.unfinished = ""

    def write_raw(self, parts: Sequence[tuple[int, bytes]]) -> None:
        """Write bytes at offsets of the flash, multiples of 4096, and check them."""
        self.unfinished = "the checkpoint"
        with _progress():
            cmds.write_flash(self._loader, [*parts])  # reads its MD5 back
        self.unfinished = ""

    def erase(self) -> None:
        """Erase all of the flash."""
        cmds.erase_flash(self._loader)

    def start_program(self) -> bool:
        """Reset the chip, out of its loader; returns whether it was heard to start.

        Not every port has a reset line, nor every board a use for it.
        """
        self.set_rate(ROM_BAUD)
        self._line.reset_input_buffer()
        cmds.reset_chip(self._loader, "hard-reset")
        self._line.timeout = START_SECONDS
        return self._line.read(1) != b""

    def set_rate(self, baud: int) -> None:
        """Let chip and port go on at so many bits per second."""
        if self._line.baudrate != baud:
            self._loader.change_baud(baud)


@contextmanager
def connected(port: str, baud: int) -> Iterator[Board]:
    """The board on a port, in its loader. What it refuses leaves it running the program that it has."""
    board = None
    log.set_verbosity("silent")
    line = ports.opened(port, ROM_BAUD, DEFAULT_TIMEOUT)  # esptool's: each change of it costs a round trip on a network
    try:
        board = Board(port, line, _rate(port, baud))
        yield board
        board.set_rate(ROM_BAUD)  # where the next command looks for the stub, if nothing has reset the chip
    except UserError:
        if board:
            with suppress(*LOST):
                board.start_program()
        raise
    except LOST as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        unfinished = board.unfinished if board else ""
        if "MD5" in reason:
            raise UserError(
                f"what is in flash for {unfinished} is not what was sent; run the command again, with "
                "flash_baud=115200, or try another cable or supply"
            ) from None
        half = f"; {unfinished} may be half-written" if unfinished else ""
        raise UserError(f"lost the board on {port} ({reason}){half}: plug it in and run the same command") from None
    finally:
        line.close()


def _detected(port: str, line: serial.SerialBase) -> esptool.ESPLoader:
    try:
        mode = "default-reset" if isinstance(line, WITH_LINES) else "no-reset"
        return cmds.detect_chip(line, ROM_BAUD, mode, connect_attempts=CONNECT_ATTEMPTS)
    except esptool.FatalError as error:
        if "magic" in str(error) or "Unexpected chip" in str(error):
            raise UserError(f"the chip on {port} is none that esptool knows ({error})") from None
        raise UserError(NO_ANSWER.format(port=port)) from None


def start(board: Board) -> None:
    """Start the program, and say whether it was heard to."""
    print(STARTED if board.start_program() else NOT_STARTED, flush=True)


def _rate(port: str, baud: int) -> int:
    """Bits per second in the loader. Nobody can tell the far end of a bare socket another rate than it has."""
    return ROM_BAUD if port.startswith(BARE_SOCKET) else baud


def _contents(part: Part) -> bytes:
    try:
        data = part.path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {part.path}: {error.strerror}") from None
    return data + b"\xff" * (-len(data) % 4)


def _check_flash(loader: esptool.ESPLoader, flash_bytes: int) -> None:
    text = cmds.detect_flash_size(loader)
    size = esptool.util.flash_size_bytes(text) if text else None
    if size is None:
        raise UserError("the size of the board's flash cannot be read; check its supply, or that it is an ESP32 board")
    if size < flash_bytes:
        raise UserError(
            f"the board's flash is {size // MEGABYTE} MB and the image needs {flash_bytes // MEGABYTE} MB; "
            f"build it for that: flash_size={size // MEGABYTE}"
        )


@contextmanager
def _progress() -> Iterator[None]:
    """Let esptool show how far it is."""
    log.set_verbosity("verbose" if os.environ.get("CI") else "auto")
    try:
        yield
    finally:
        log.set_verbosity("silent")
