"""The board's flash, through esptool: writes what differs, erases, reads."""

import os
import shlex
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import TypeVar

import esptool
import serial
from esptool import cmds
from esptool.logger import log

from mgbuild.device import ports
from mgbuild.errors import UserError
from mgbuild.firmware.image import CHIP, MEGABYTE
from mgbuild.plan import dataset

FIRMWARE_OFFSET, FIRMWARE_SEARCHED = 0x1000, 0x10000  # bytes; the ROM fixes the first
REQUIREMENTS_MAGIC = b"MGDSNEED"
ROM_BAUD = 115200  # the loader's, before it is told another
CONNECT_ATTEMPTS = 7

NO_ANSWER = (
    "the chip on {port} does not answer; hold its BOOT button down, press EN (RST) once, and let BOOT go when writing "
    "begins; if that does not help: a cable that carries data, the right port, nothing wired to GPIO0, 2, 12 or 15"
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Part:
    """A file and its place in flash."""

    name: str
    offset: int  # bytes from the start of flash, a multiple of 4096
    path: Path


@dataclass(frozen=True)
class Requirements:
    """What the firmware on a board reads: struct dataset_requirements in src_c/board/esp32/dataset.c."""

    vocab_size: int  # the characters and BOS: just as many
    num_docs: int  # at most
    offset: int  # of the data set in flash
    flash_bytes: int  # that the firmware was made for


def command(parts: Sequence[Part], port: str, baud: int) -> str:
    """The esptool command that does the same as `write`, for those who want it by hand."""
    words = ["esptool", "--chip", CHIP, "--port", port, "--baud", str(baud), "write-flash"]
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
    unfinished: list[str] = []

    def run(loader: esptool.ESPLoader) -> None:
        _check_flash(loader, flash_bytes)
        for part, data in contents.items():
            if _is_in_flash(loader, part, data):
                print(f"{part.name}: unchanged, {len(data):,} bytes at {part.offset:#x}", flush=True)
                continue
            print(f"{part.name}: writing {len(data):,} bytes at {part.offset:#x}", flush=True)
            unfinished.append(part.name)
            with _progress():
                cmds.write_flash(loader, [(part.offset, data)])  # reads its MD5 back
            unfinished.clear()
        _start_program(loader)

    _with_loader(port, baud, run, unfinished)
    print("done: the program starts", flush=True)


def write_dataset(path: Path, port: str, baud: int) -> None:
    """Write a packed data set alone; raises UserError as `write`, or if the firmware on the board cannot read it."""
    header = dataset.read_header(path.read_bytes())
    needs = requirements(read(port, baud, FIRMWARE_OFFSET, FIRMWARE_SEARCHED))
    if needs is None:
        raise UserError(f"there is no firmware of this project on the board at {port}; write both: scons flash")
    if header.num_chars + 1 != needs.vocab_size or header.num_docs > needs.num_docs:
        raise UserError(
            f"the data set has {header.num_chars} characters and {header.num_docs:,} documents; the firmware on the "
            f"board was built for {needs.vocab_size - 1} characters and at most {needs.num_docs:,} documents; build "
            "and write both: scons flash dataset=..."
        )
    write([Part("data set", needs.offset, path)], port, baud, needs.flash_bytes)


def requirements(image: bytes) -> Requirements | None:
    """What the firmware in an image reads, or None when there is no firmware of this project in it."""
    at = image.find(REQUIREMENTS_MAGIC)
    if at < 0:
        return None
    return Requirements(*struct.unpack_from("<4I", image, at + len(REQUIREMENTS_MAGIC)))


def erase(port: str, baud: int) -> None:
    """Erase all of the flash; raises UserError as `write` does."""

    def run(loader: esptool.ESPLoader) -> None:
        print("erasing the whole flash; this takes up to a minute", flush=True)
        cmds.erase_flash(loader)

    _with_loader(port, baud, run, [])
    print("done: the flash is empty", flush=True)


def read(port: str, baud: int, offset: int, length: int) -> bytes:
    """Bytes of the flash, from `offset` on; the program starts again afterwards. Raises UserError as `write` does."""

    def run(loader: esptool.ESPLoader) -> bytes:
        data = cmds.read_flash(loader, offset, length, output=None)
        _start_program(loader)
        return data

    return _with_loader(port, baud, run, [])


def _contents(part: Part) -> bytes:
    try:
        data = part.path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {part.path}: {error.strerror}") from None
    return data + b"\xff" * (-len(data) % 4)


def _with_loader(port: str, baud: int, run: Callable[[esptool.ESPLoader], Result], unfinished: Sequence[str]) -> Result:
    """What `run` returns, given a connected chip with esptool's stub running."""
    loader = None
    log.set_verbosity("silent")
    try:
        loader = _connect(port)
        if loader.CHIP_NAME != "ESP32":
            raise UserError(f"the chip on {port} is an {loader.CHIP_NAME}; this firmware is for the ESP32 alone")
        loader = cmds.run_stub(loader)
        if baud > ROM_BAUD:
            loader.change_baud(baud)
        cmds.attach_flash(loader)
        return run(loader)
    except (esptool.FatalError, OSError) as error:  # pyserial's exceptions are OSError
        reason = str(error).splitlines()[0]
        if "MD5" in reason:
            raise UserError(
                f"what is in flash for {unfinished[0]} is not what was sent; run the command again, with "
                "flash_baud=115200, or try another cable or supply"
            ) from None
        half = f"; {unfinished[0]} may be half-written" if unfinished else ""
        raise UserError(f"lost the board on {port} ({reason}){half}: plug it in and run the same command") from None
    finally:
        if loader is not None:
            loader._port.close()


def _connect(port: str) -> esptool.ESPLoader:
    try:
        serial.Serial(port, exclusive=True).close()  # esptool's own message would not say why
    except OSError as error:
        raise ports.open_failure(port, error) from None
    try:
        return cmds.detect_chip(port, ROM_BAUD, connect_attempts=CONNECT_ATTEMPTS)
    except esptool.FatalError as error:
        if "magic" in str(error) or "Unexpected chip" in str(error):
            raise UserError(f"the chip on {port} is none that esptool knows ({error})") from None
        raise UserError(NO_ANSWER.format(port=port)) from None


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


def _is_in_flash(loader: esptool.ESPLoader, part: Part, data: bytes) -> bool:
    return loader.flash_md5sum(part.offset, len(data)) == md5(data).hexdigest()


def _start_program(loader: esptool.ESPLoader) -> None:
    cmds.reset_chip(loader, "hard-reset")


@contextmanager
def _progress() -> Iterator[None]:
    """Let esptool show how far it is."""
    log.set_verbosity("verbose" if os.environ.get("CI") else "auto")
    try:
        yield
    finally:
        log.set_verbosity("silent")
