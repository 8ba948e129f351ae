"""Checkpoints to and from a board: out over its console while it goes on, in through its loader."""

import base64
import binascii
import struct
import time
import zlib
from pathlib import Path
from typing import Any

from microgpt.checkpoint import HEADER, Checkpoint, CheckpointError

from mgbuild.device import board as console
from mgbuild.device import flash, ports
from mgbuild.errors import UserError
from mgbuild.plan import dataset, flash_speed, settings_table

ASK = b"\x10"  # Ctrl-P: src_c/app/console.c
BEGINS, LINE, ENDS = "# state ", "#=", "# state ends"
ATTEMPTS = 3
ASK_SECONDS = 2.0
SILENCE_SECONDS = 10.0  # without a line of it
WINDOW_BYTES = 4 << 20  # flash_window_bytes of linker/esp32.ld
SECTOR, PAGE, CLAIMS = 4096, 256, 64  # src_c/app/store.c


def pull(port: str, baud: int, path: Path) -> None:
    """Write a checkpoint of what the board is doing to a file; what it does goes on.

    Raises UserError when the board is silent, has no model, or its lines come damaged again and again.
    """
    with ports.opened(port, baud, console.READ_TIMEOUT) as line:
        board = console.Board(line, port)
        for _ in range(ATTEMPTS):
            try:
                kept = Checkpoint(_received(board, port))
                kept.write(path)
                print(f"{path}: step {kept['step']:,} of {kept['steps']:,}, weights crc32 {kept.checksum}", flush=True)
                return
            except (CheckpointError, binascii.Error):
                print("what came is damaged; once more", flush=True)
    raise UserError(f"the checkpoint from {port} comes damaged; a shorter cable, or baud= lower in firmware and here")


def _received(board: console.Board, port: str) -> bytes:
    """The bytes of a checkpoint that the board is asked for, whatever else it says meanwhile."""
    parts: list[bytes] | None = None
    pending, heard, asked = b"", time.monotonic(), 0.0
    while time.monotonic() - heard < SILENCE_SECONDS:
        if parts is None and time.monotonic() - asked > ASK_SECONDS:  # it may be starting, or lose a byte
            board.write(ASK)
            asked = time.monotonic()
        pending += board.read()
        *lines, pending = pending.split(b"\n")
        for text in (line.decode("utf-8", "replace").rstrip("\r") for line in lines):
            if text == "# error: there is no model yet":
                raise UserError("the board has no model yet: make it fit with set, then train")
            if text == ENDS:
                return b"".join(parts or [])
            if text.startswith(BEGINS):
                parts, heard = [], time.monotonic()
            elif text.startswith(LINE) and parts is not None:
                parts.append(base64.b64decode(text.removeprefix(LINE), validate=True))
                heard = time.monotonic()
    raise UserError(f"no checkpoint comes from {port}: is this firmware on the board, and baud= that of its console?")


def slots(flash_bytes: int, checkpoints: int) -> list[int]:
    """Offsets in flash of the two slots, which are as long as they are apart; checkpoints: where the first begins."""
    return [checkpoints, checkpoints + (min(flash_bytes, WINDOW_BYTES) - checkpoints) // 2]


def push(path: Path, port: str, baud: int, library: Path) -> None:
    """Write a checkpoint into the older slot of a board's flash, and start the program, which goes on from it.

    Weights that no slot has room for go behind the data set (BEHIND_TEXT of src_c/app/store.h), and the slots stay.
    Raises UserError when the board's firmware cannot go on from it, and as flash.write does.
    """
    try:
        kept = Checkpoint.open(path)
    except CheckpointError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    with flash.connected(port, baud) as board:
        image = board.read(flash.FIRMWARE_OFFSET, flash.FIRMWARE_SEARCHED)
        firmware = flash.installed(image)
        if firmware is None:
            raise UserError(f"there is no firmware of this project on the board at {port}: scons flash")
        end_of_text = _check(kept, firmware, board, library)
        starts = slots(firmware.flash_bytes, firmware.checkpoints)
        slot_bytes = starts[1] - starts[0]
        fits_a_slot = len(kept.data) <= slot_bytes - SECTOR
        if not fits_a_slot and kept.has_state:
            raise UserError(f"{path} has {len(kept.data):,} bytes, and a slot of this board {slot_bytes - SECTOR:,}")
        if not fits_a_slot and len(kept.data) > firmware.checkpoints - end_of_text:
            room = firmware.checkpoints - end_of_text
            raise UserError(f"{path} has {len(kept.data):,} bytes, and between text and slots this board has {room:,}")
        ages = [_age(board, start, slot_bytes) for start in starts]
        data = numbered(kept, max(ages) + 1, settings_table.identity(image))
        if fits_a_slot:
            start = starts[0 if ages[0] <= ages[1] else 1]
            parts = [(start + slot_bytes - SECTOR, b"\xff" * SECTOR), (start, data)]  # first its claims
        else:
            start = end_of_text
            parts = [(start, data)]
        print(f"checkpoint: writing {len(data):,} bytes at {start:#x}", flush=True)
        board.write_raw(parts)
        if not kept.has_state:
            known: dict[str, Any] = {name: kept[name] for name in ("n_embd", "n_layer", "vocab_size")}
            known |= flash.read_mode(image)
            print(f"about {flash_speed.estimate(**known)}, not measured", flush=True)
        flash.start(board)


def _check(kept: Checkpoint, firmware: flash.Installed, board: flash.Board, library: Path) -> int:
    """The offset of the first sector behind the board's data set."""
    from microgpt import plan  # here, so that what needs no plan needs no library

    header = board.read(firmware.offset, 32)
    magic, version, size, documents, characters, _, crc32, _ = struct.unpack("<8I", header)
    if (magic, version) != (dataset.MAGIC, dataset.VERSION):
        raise UserError("there is no data set on the board: scons flash")
    if kept.has_state and kept["text_crc32"] != crc32:
        raise UserError("the checkpoint is of another text than the board's: scons flash-dataset writes that")
    if board.read(firmware.offset + len(header), 4 * characters) != kept.alphabet.encode("utf-32-le"):
        raise UserError("the checkpoint is of a text with other characters than the board's: scons flash-dataset")
    sizes = {name: kept[name] for name in ("n_embd", "n_head", "n_layer", "block_size", "steps", "vocab_size")}
    found = plan(firmware.banks, path=library, documents=documents, generates=not kept.has_state, **sizes)
    if not found.fits:
        raise UserError(f"the checkpoint's model does not fit: {found.sentence}")
    return firmware.offset + -(-size // SECTOR) * SECTOR


def _age(board: flash.Board, start: int, slot_bytes: int) -> int:
    """Age of the checkpoint in a slot, as src_c/app/store.c tells it; 0 where there is none that is whole."""
    length = int.from_bytes(board.read(start + 8, 4), "little")
    if length > slot_bytes:
        return 0
    try:
        sequence = Checkpoint(board.read(start, length))["sequence"]
    except CheckpointError:
        return 0
    words = struct.unpack(f"<{CLAIMS}I", board.read(start + slot_bytes - PAGE, PAGE))
    return sequence + 2 * next((at for at, word in enumerate(words) if word == 0xFFFFFFFF), CLAIMS)


def numbered(kept: Checkpoint, sequence: int, options_crc32: int) -> bytes:
    """A checkpoint with this sequence number, of a program that was built with these options."""
    header = bytearray(kept.data[: HEADER.itemsize])
    fields = {"sequence": sequence} | ({"options_crc32": options_crc32} if kept.has_state else {})
    for name, value in fields.items():
        struct.pack_into("<I", header, HEADER.fields[name][1], value)  # type: ignore[index]
    struct.pack_into("<I", header, HEADER.itemsize - 4, zlib.crc32(header[:-4]))
    return bytes(header) + kept.data[HEADER.itemsize :]
