"""The program's options as the table in its image: struct settings of src_c/app/settings.h, little endian."""

import struct
import zlib
from dataclasses import dataclass

from mgbuild.plan.options import Settings

MAGIC = b"MGSETNGS"
NUMBERS = ("n_embd", "n_head", "n_layer", "block_size", "steps", "samples", "log_every", "save_every", "cores")
RATES = ("lr", "temperature")
STARTS = ("resume", "names", "fresh")  # enum start of src_c/app/settings.h
LEAST_SEED_ROOM = 2  # words of a seed that the console can set

_TABLE = struct.Struct(f"<{len(MAGIC)}s{len(NUMBERS)}I{len(RATES)}f5I")


@dataclass(frozen=True)
class Table:
    """What a table says, under the names of the options."""

    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    steps: int
    samples: int
    log_every: int
    save_every: int
    cores: int
    lr: float
    temperature: float
    start: str
    seed_from_chip: bool


def seed_words(seed: int) -> list[int]:
    """The 32-bit words of abs(seed), lowest first: what Python's random.seed(seed) hands to init_by_array."""
    words = []
    rest = abs(seed)
    while True:
        words.append(rest & 0xFFFFFFFF)
        rest >>= 32
        if not rest:
            return words


def pack(settings: Settings) -> bytes:
    """The table for these options, with room for another seed that is typed."""
    words = seed_words(settings.seed or 0)
    numbers = [getattr(settings, name) for name in (*NUMBERS, *RATES)]
    room = max(len(words), LEAST_SEED_ROOM)
    head = _TABLE.pack(
        MAGIC, *numbers, settings.console, STARTS.index(settings.start), settings.seed is None, room, len(words)
    )
    return head + struct.pack(f"<{room}I", *words, *[0] * (room - len(words)))


def identity(image: bytes) -> int:
    """CRC-32 of what decides which model a program trains, and how, as src_c/app/remember.c tells it from its table.

    Raises ValueError where there is no table.
    """
    at = image.index(MAGIC)
    head, seed = at + len(MAGIC), at + _TABLE.size
    words = _TABLE.unpack_from(image, at)[-1]
    lr = head + 4 * len(NUMBERS)
    from_chip = at + _TABLE.size - 3 * 4
    parts = [image[head : head + 4 * NUMBERS.index("samples")], image[lr : lr + 4], image[from_chip : from_chip + 4]]
    return zlib.crc32(b"".join([*parts, image[seed : seed + 4 * words]]))


def find(image: bytes) -> Table | None:
    """The table in an image, or None where there is none."""
    at = image.find(MAGIC)
    if at < 0 or at + _TABLE.size > len(image):
        return None
    *values, _, start, from_chip, _, _ = _TABLE.unpack_from(image, at)
    numbers = dict(zip((*NUMBERS, *RATES), values[1:], strict=True))
    return Table(**numbers, start=STARTS[start], seed_from_chip=bool(from_chip))
