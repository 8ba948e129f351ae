"""How long training takes a chip: src_c/core/training_time.h, asked through the host library.

By the cycle model of mgbuild.emulated.lx6, not measured on a chip.
"""

import ctypes
import math
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from microgpt import library as c_library
from microgpt.library import Effort, Positions

from mgbuild.plan import dataset
from mgbuild.plan.flash_speed import CPU_HERTZ
from mgbuild.plan.shape import Shape

MOST_DECIMALS = 4  # src_c/app/settings_commands.c

__all__ = ["CPU_HERTZ", "Effort", "TextLengths", "cycles", "expected_effort", "rounded", "seconds"]


class TextLengths:
    """The lengths of a text's documents, and what the time of a step follows from of them."""

    def __init__(self, lengths: Iterable[int]) -> None:
        """From the number of characters of each document. Raises ValueError when there are none."""
        offsets = list(accumulate(lengths, initial=0))
        if len(offsets) < 2 or sorted(offsets) != offsets:
            raise ValueError("a text has documents, and no length is below 0")
        self._offsets = (ctypes.c_uint32 * len(offsets))(*offsets)
        self._positions: dict[tuple[Path, int], Positions] = {}

    @classmethod
    def of_image(cls, image: bytes) -> "TextLengths":
        """Of a packed data set; raises ValueError as mgbuild.plan.dataset.unpack."""
        return cls(len(document) for document in dataset.unpack(image))

    def positions(self, library: Path, block_size: int) -> Positions:
        """Means over the documents; computed once for each block_size."""
        found = self._positions.get((library, block_size))
        if found is None:
            found = self._positions[library, block_size] = Positions()
            c_library.load(library).microgpt_positions(self._offsets, len(self._offsets) - 1, block_size, found)
        return found


def expected_effort(library: Path, shape: Shape, lengths: TextLengths, *, steps: int, lr: float) -> Effort:
    """Mean shares of active hidden values and of careful Adam steps over a run; an estimate. Raises as `seconds`."""
    _check(steps=steps, lr=lr)
    found = Effort()
    c_library.load(library).microgpt_effort_of_run(
        _shape(shape), lengths.positions(library, shape.block_size), steps, lr, found
    )
    return found


def cycles(library: Path, shape: Shape, lengths: TextLengths, *, cores: int, effort: Effort) -> float:
    """Modelled clock cycles of a training step, the mean over a text's documents, by a chip with 1 or 2 cores at work.

    library: libmicrogpt.so. effort: expected_effort(), or what a run here had (microgpt.Learner.effort). Raises
    ValueError for other numbers of cores.
    """
    _check(cores=cores)
    positions = lengths.positions(library, shape.block_size)
    return c_library.load(library).microgpt_training_cycles(_shape(shape), positions, effort, cores)


def seconds(
    library: Path,
    shape: Shape,
    lengths: TextLengths,
    steps: int,
    cores: int,
    clock: float = CPU_HERTZ,
    *,
    lr: float = 0.01,
) -> float:
    """Seconds of a whole run of `steps` training steps on a chip, by the cycle model.

    library: libmicrogpt.so. clock: in hertz. lr: learning rate of the first step; how many hidden values are zero, and
    so need no time, depends on it. Raises ValueError for cores, steps, a rate or a clock that no chip has.
    """
    _check(cores=cores, steps=steps, lr=lr, clock=clock)
    positions = lengths.positions(library, shape.block_size)
    c = c_library.load(library)
    return c.microgpt_training_seconds(_shape(shape), positions, steps, lr, cores, clock / 1e6)


def rounded(seconds: float) -> str:
    """Seconds as people need them, two digits or all of them, as the console's `info` prints them."""
    decimals = 0
    digits = seconds
    while digits < 10 and decimals < MOST_DECIMALS:
        digits *= 10
        decimals += 1
    return f"{seconds:.{decimals}f}"


def _check(*, cores: int = 1, steps: int = 1, lr: float = 1.0, clock: float = 1.0) -> None:
    if cores not in (1, 2):
        raise ValueError(f"cores={cores} must be 1 or 2")
    if not 1 <= steps <= 10_000_000:
        raise ValueError(f"steps={steps} must be from 1 to 10000000")
    if not 0 < lr < math.inf or not 0 < clock < math.inf:
        raise ValueError(f"lr={lr} and clock={clock} must be above 0")


def _shape(shape: Shape) -> c_library.Shape:
    return c_library.Shape(shape.n_embd, shape.n_head, shape.n_layer, shape.block_size, shape.vocab_size)
