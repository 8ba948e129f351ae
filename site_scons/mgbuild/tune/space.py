"""What is searched: shapes that fit the chip, rates, and steps that it manages in the time there is."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from math import lcm
from pathlib import Path
from typing import Any, Final

from microgpt.plan import Plan, plan

from mgbuild.errors import UserError
from mgbuild.plan.options import OPTIONS
from mgbuild.plan.shape import LIMITS

HEADS: Final = (1, 2, 4, 8)
WIDTH_UNIT: Final = 4  # the kernels' tiles
LEAST: Final = {"n_embd": 4, "n_layer": 1, "block_size": 4}
MOST_LAYERS: Final = 8
RATES: Final = (0.0005, 0.1)
MOST_STEPS: Final = 10_000_000  # what the option takes
FEWEST_SHARE: Final = 1 / 64  # of the steps that the time allows: a small text is soon learned by heart


@dataclass(frozen=True)
class Options:
    """The options that are searched."""

    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    lr: float
    steps: int

    @property
    def sizes(self) -> dict[str, int]:
        """Those that are sizes of the model."""
        return {name: getattr(self, name) for name in ("n_embd", "n_head", "n_layer", "block_size")}

    def changed(self) -> dict[str, Any]:
        """Those that have another value than the program's default."""
        return {name: value for name, value in asdict(self).items() if value != getattr(DEFAULT, name)}


NAMES: Final = tuple(field.name for field in fields(Options))
DEFAULT: Final = Options(**{option.name: option.parse(option.default) for option in OPTIONS if option.name in NAMES})


@dataclass(frozen=True)
class Chip:
    """What there is for a model of a text: memory, and time.

    banks: bytes of each; vocab_size, documents: of the text; seconds: that training with some options takes; library:
    libmicrogpt.so.
    """

    banks: tuple[int, ...]
    vocab_size: int
    documents: int
    seconds: Callable[[Options], float]
    library: Path | None = None

    def plan(self, options: Options) -> Plan:
        """The chip's own plan for these options."""
        return self._plan(replace(options, lr=DEFAULT.lr))

    @cache  # noqa: B019 - one object lives as long as a search
    def _plan(self, options: Options) -> Plan:
        asked = {**options.sizes, "steps": options.steps, "vocab_size": self.vocab_size, "documents": self.documents}
        return plan(self.banks, **asked, path=self.library)

    def most_steps(self, options: Options, seconds: float) -> int:
        """How many steps it manages in this time with these options, at most MOST_STEPS; 0: not one."""
        low, high = 0, 1
        while high <= MOST_STEPS and self.seconds(replace(options, steps=high)) <= seconds:
            low, high = high, max(high + 1, int(high * seconds / self.seconds(replace(options, steps=high))))
        high = min(high, MOST_STEPS + 1)
        while high - low > max(1, low // 1000):
            middle = (low + high) // 2
            low, high = (middle, high) if self.seconds(replace(options, steps=middle)) <= seconds else (low, middle)
        return low


def tidy_steps(steps: int) -> int:
    """The steps, or a few less, with three digits that count."""
    unit = 10 ** max(0, len(str(steps)) - 3)
    return steps // unit * unit


def tidy_rate(rate: float) -> float:
    """The rate with three digits that count."""
    return float(f"{rate:.3g}")


class Space:
    """Ranges of the options, and of what is drawn from them the nearest that fits.

    Samplers draw every option by itself from its range, and `settle` makes it fit: no draw is wasted.
    """

    def __init__(self, chip: Chip, seconds: float, longest: int, fixed: Mapping[str, Any]) -> None:
        """seconds: for training; longest: positions of the longest document; fixed: options that are not searched.

        Raises UserError where no step fits in the time, or no shape in the memory.
        """
        self.chip, self.limit, self.fixed = chip, seconds, dict(fixed)
        if chip.most_steps(DEFAULT, seconds) < 1:
            one = chip.seconds(replace(DEFAULT, steps=1))
            raise UserError(f"minutes={seconds / 60:g}: no step fits; the default options take {one:.2g} s for one")
        least = replace(DEFAULT, **{**LEAST, "n_head": 1, "steps": 1, **self.fixed})
        if "n_head" in self.fixed and "n_embd" not in self.fixed:
            least = replace(least, n_embd=self._unit(least.n_head))
        found = chip.plan(least)
        if not found.fits:
            given = " ".join(f"{name}={value}" for name, value in self.fixed.items())
            held, remedy = (f" with {given}", "give fewer of them") if given else ("", "give fewer documents")
            raise UserError(f"no shape can fit{held}: {found.sentence}; {remedy}")
        self.least = least
        self.ranges = self._ranges(longest)

    def _ranges(self, longest: int) -> dict[str, tuple[Any, ...]]:
        """The least and the most of each option that is searched; of n_head, every value."""
        heads = [heads for heads in HEADS if self.fixed.get("n_embd", 0) % heads == 0]
        layers = self._largest("n_layer", MOST_LAYERS)
        width = self._largest("n_embd", LIMITS["n_embd"] // self.least.n_head * self.least.n_head)
        block = self._largest("block_size", min(max(longest, DEFAULT.block_size), LIMITS["block_size"]))
        most = self.in_time(replace(self.least, steps=MOST_STEPS)).steps
        usual = self.in_time(replace(DEFAULT, steps=MOST_STEPS)).steps
        ranges: dict[str, tuple[Any, ...]] = {
            "n_embd": (min(self.least.n_embd, width), width),
            "n_head": tuple(heads),
            "n_layer": (1, layers),
            "block_size": (min(LEAST["block_size"], block), block),
            "lr": RATES,
            "steps": (max(1, min(DEFAULT.steps, int(usual * FEWEST_SHARE), most)), most),
        }
        return {name: values for name, values in ranges.items() if name not in self.fixed}

    def _largest(self, name: str, most: int) -> int:
        """The largest value of a size, up to `most`, with which a model fits that is as small as may be otherwise."""
        asked = replace(self.least, **{name: most})
        found = self.chip.plan(asked)
        return int(getattr(asked, name) if found.fits else found.smaller[name])

    def _unit(self, heads: int) -> int:
        return lcm(heads, WIDTH_UNIT)

    def in_time(self, options: Options) -> Options:
        """The options with as many of their steps as the chip manages in the time, at least one."""
        if self.chip.seconds(options) <= self.limit:
            return options
        return replace(options, steps=max(1, tidy_steps(self.chip.most_steps(options, self.limit))))

    def settle(self, drawn: Mapping[str, Any]) -> Options:
        """The options nearest to what was drawn that fit the chip's memory and the time; drawn: what is not fixed."""
        wanted = Options(**{**drawn, **self.fixed})
        wanted = replace(wanted, lr=tidy_rate(wanted.lr)) if "lr" not in self.fixed else wanted
        if "n_embd" not in self.fixed:
            unit = self._unit(wanted.n_head)
            wanted = replace(wanted, n_embd=max(unit, wanted.n_embd // unit * unit))
        return self.fit(wanted)

    def fit(self, wanted: Options) -> Options:
        """The options, with fewer steps or a smaller shape where time or memory end."""
        wanted = replace(wanted, steps=tidy_steps(wanted.steps))
        fitting = self._smaller_shape(self.in_time(wanted))
        more = self.in_time(replace(fitting, steps=wanted.steps))  # for a smaller shape is a faster one
        return more if self.chip.plan(more).fits else fitting

    def _smaller_shape(self, wanted: Options) -> Options:
        """The options with the largest smaller shape that fits: less wide, else shorter, else of fewer layers."""
        while not (found := self.chip.plan(wanted)).fits:
            wanted = self._smaller(wanted, found)
        return wanted

    def _smaller(self, wanted: Options, found: Plan) -> Options:
        """A shape that is smaller in the first of these that may be, and no smaller than it needs to be."""
        for name, unit in (("n_embd", self._unit(wanted.n_head)), ("block_size", 1), ("n_layer", 1)):
            value, least = getattr(wanted, name), max(unit, LEAST[name])
            if name in self.fixed or value <= least:
                continue
            fits = found.smaller[name] // unit * unit
            return replace(wanted, **{name: max(least, min(fits, value - unit))})
        if wanted.n_head > 1 and "n_head" not in self.fixed:
            return replace(wanted, n_head=1)
        if wanted.steps > 1:
            return replace(wanted, steps=wanted.steps // 2)
        raise UserError(f"no shape can fit: {found.sentence}")
