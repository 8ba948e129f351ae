"""The program's options as the table in its image: struct settings of src_c/app/settings.h, little endian."""

import struct
from dataclasses import dataclass

from mgbuild.plan.options import Settings

MAGIC = b"MGSETNGS"
NUMBERS = ("n_embd", "n_head", "n_layer", "block_size", "steps", "samples", "log_every", "cores")
RATES = ("lr", "temperature")
LEAST_SEED_ROOM = 2  # words of a seed that the console can set

_TABLE = struct.Struct(f"<{len(MAGIC)}s{len(NUMBERS)}I{len(RATES)}fIIII")


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
    cores: int
    lr: float
    temperature: float
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
    head = _TABLE.pack(MAGIC, *numbers, settings.console, settings.seed is None, room, len(words))
    return head + struct.pack(f"<{room}I", *words, *[0] * (room - len(words)))


def find(image: bytes) -> Table | None:
    """The table in an image, or None where there is none."""
    at = image.find(MAGIC)
    if at < 0 or at + _TABLE.size > len(image):
        return None
    *values, _, from_chip, _, _ = _TABLE.unpack_from(image, at)
    return Table(**dict(zip((*NUMBERS, *RATES), values[1:], strict=True)), seed_from_chip=bool(from_chip))
