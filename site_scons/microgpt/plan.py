"""What fits: the firmware's own memory plan, asked without a chip."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microgpt import library
from microgpt.library import Error


@dataclass(frozen=True)
class Array:
    """Where one array lies."""

    name: str
    purpose: str
    bank: int
    offset: int  # bytes from the start of the bank
    bytes: int


@dataclass(frozen=True)
class Plan:
    """Where everything lies, or how many bytes are missing."""

    arrays: tuple[Array, ...]
    missing: int  # bytes that the last bank would have to be larger; 0: it fits
    purposes: dict[str, int]  # bytes by what they are for; they add up to `bytes`
    extents: tuple[int, ...]  # bytes from the start of each bank to the end of what lies there
    smaller: dict[str, int]  # the largest smaller value of each option with which it would fit; 0: none
    sentence: str  # why it does not fit, as the chip says it; empty if it does

    @property
    def fits(self) -> bool:
        """Whether everything has its place."""
        return self.missing == 0

    @property
    def banks_of_purposes(self) -> dict[str, int]:
        """The bank in which the first array of each purpose lies."""
        return {array.purpose: array.bank for array in reversed(self.arrays)}

    @property
    def bytes(self) -> int:
        """Bytes of all banks together that something lies in."""
        return sum(self.purposes.values())


def plan(
    banks: Sequence[int],
    *,
    n_embd: int = 16,
    n_head: int = 4,
    n_layer: int = 1,
    block_size: int = 16,
    vocab_size: int,
    documents: int,
    steps: int = 1000,
    generates: int = False,
    path: Path | None = None,
) -> Plan:
    """Plan of a model in banks of memory of these many bytes, at most four (src_c/core/plan.h).

    vocab_size: characters and BOS; documents: of the text; generates: alone, from weights that lie elsewhere;
    path: of another library than `scons host` builds.
    Raises Error for a shape that makes no model, ValueError for more banks or numbers below 0.
    """
    if len(banks) > library.MOST_BANKS or min([*banks, 0]) < 0 or max([*banks, 0]) > 0xFFFFFFFF:
        raise ValueError(f"banks={list(banks)} must be at most {library.MOST_BANKS} lengths from 0 to 4 GB")
    c = library.load(path)
    arrays, purposes = library.names(c.microgpt_array_name), library.names(c.microgpt_purpose_name)
    found = library.plan_structure(len(arrays), len(purposes))()
    numbers = (n_embd, n_head, n_layer, block_size, vocab_size, documents, steps)
    if min(numbers) < 0 or max(numbers) > 0xFFFFFFFF:
        raise ValueError("sizes must be whole numbers from 0 to 4294967295")
    request = library.Request(
        library.Shape(n_embd, n_head, n_layer, block_size, vocab_size), documents, steps, generates
    )
    lengths = (ctypes.c_uint32 * max(1, len(banks)))(*banks)
    if not c.microgpt_plan(request, lengths, len(banks), ctypes.byref(found)):
        raise Error(c.microgpt_error().decode())
    return Plan(
        arrays=tuple(
            Array(name, purposes[c.microgpt_array_purpose(index)], place.bank, place.offset, place.bytes)
            for index, (name, place) in enumerate(zip(arrays, found.place, strict=True))
        ),
        missing=found.missing,
        purposes=dict(zip(purposes, found.purposes, strict=True)),
        extents=tuple(found.extents[: len(banks)]),
        smaller=dict(zip(library.REDUCIBLE, found.reduced, strict=True)),
        sentence=c.microgpt_error().decode(),
    )
