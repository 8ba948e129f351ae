"""What a search came to: as text, and as data."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mgbuild.plan.options import BUILD, MODEL, OPTIONS, RUN
from mgbuild.tune.search import BASELINE, PATIENT, Found
from mgbuild.tune.space import NAMES, Options
from mgbuild.tune.split import Split
from mgbuild.tune.verdict import RUNS, WINNER, Verdict

SHOWN = 10  # recipes of the table
HEAD = ("trial", "n_embd", "n_head", "n_layer", "block_size", "lr", "steps", "RAM bytes", "chip s", "loss")


@dataclass(frozen=True)
class Outcome:
    """A search and its verdict."""

    name: str  # of the study
    minutes: float
    cores: int
    parts: Split
    tried: list[Found]  # to the end, in the order of trials
    scored: int  # documents of validation that score a recipe
    cut_short: int  # trials that ended at a rung or diverged
    verdict: Verdict
    other_ram: int  # bytes of static RAM that are not the model's
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)  # by role: what each invents, its checksum
    command: str = ""  # that flashes what is recommended

    def recipe(self, role: str) -> Found:
        """What was tried for a role; of WINNER, the winner."""
        if role == WINNER:
            return self.verdict.winner
        return next(each for each in self.tried if each.role == role)

    @property
    def recommended(self) -> Found:
        """What the verdict recommends."""
        return self.recipe(self.verdict.recommended)


def best(tried: Sequence[Found], count: int = SHOWN) -> list[Found]:
    """The best different recipes by validation, and the baselines among them or behind them."""
    different = {each.options: each for each in reversed(tried)}  # of equal ones the first
    ranked = sorted(different.values(), key=lambda each: each.loss.value)
    return [each for rank, each in enumerate(ranked) if rank < count or each.role]


def command(options: Options, given: Mapping[str, str]) -> str:
    """The command line that flashes a recipe: of the options only those that differ from their defaults.

    given: the words of the command line that searched, for the text and whatever else a build is to know.
    """
    for_builds = [option.name for option in OPTIONS if option.group in (MODEL, RUN, BUILD) and option.name not in NAMES]
    words = {name: given[name] for name in for_builds if name in given}
    words |= {name: f"{value:g}" if name == "lr" else str(value) for name, value in options.changed().items()}
    return shlex.join(["./sconsw", "flash", "monitor", *(f"{name}={value}" for name, value in words.items())])


def row(each: Found) -> tuple[str, ...]:
    """Cells of a recipe under HEAD."""
    options = asdict(each.options)
    cells = [f"{options[name]:g}" if name == "lr" else f"{options[name]:,}" for name in NAMES]
    return (str(each.number), *cells, f"{each.bytes:,}", f"{each.seconds:.1f}", str(each.loss))


def text(outcome: Outcome) -> str:
    """The whole report for a terminal."""
    verdict, parts = outcome.verdict, outcome.parts
    rows = [HEAD, *(row(each) for each in best(outcome.tried))]
    roles = ["", *(each.role for each in best(outcome.tried))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{len(outcome.tried) + outcome.cut_short} trials, {outcome.cut_short} of them ended early; the best:"]
    for cells, role in zip(rows, roles, strict=True):
        line = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{line}  {role}".rstrip())
    lines.append(
        "loss: nats per character, the end of a document being one, on "
        f"{outcome.scored:,} documents that were not trained on, ± half of a 95 % interval"
    )
    lines += ["", f"retrained with {RUNS} other seeds, on {len(parts.test):,} documents that nothing has seen:"]
    shown = list(dict.fromkeys([BASELINE, PATIENT, WINNER]))
    for role in shown:
        loss = verdict.losses[role]
        lines.append(f"  {role:<16} {loss if loss else 'diverged with one of the seeds'}")
    lines += ["", *verdict.sentences, ""]
    lines += _samples(outcome)
    chosen = outcome.recommended
    lines += [
        f"{chosen.bytes:,} bytes of RAM for the model, {chosen.bytes + outcome.other_ram:,} static RAM in all; "
        f"about {chosen.seconds:.1f} s on the chip with cores={outcome.cores}, by a model of its cycles",
        outcome.command,
    ]
    return "\n".join(lines)


def _samples(outcome: Outcome) -> list[str]:
    """What the chip will say, with both recipes side by side."""
    columns = [BASELINE, *([outcome.verdict.recommended] if outcome.verdict.recommended != BASELINE else [])]
    told = [outcome.samples[role] for role in columns]
    width = max(len(word) for each in told for word in [*each["samples"], "weights crc32 12345678"]) + 2
    rows = [columns, *zip(*(each["samples"] for each in told), strict=True)]
    rows.append([f"weights crc32 {each['checksum']}" for each in told])
    lines = ["trained on the whole text, as on the chip, each invents:"]
    return [*lines, *("  " + "".join(f"{cell:<{width}}" for cell in cells).rstrip() for cells in rows), ""]


def as_json(outcome: Outcome) -> str:
    """The same as data."""
    verdict, parts = outcome.verdict, outcome.parts
    document = {
        "study": outcome.name,
        "minutes": outcome.minutes,
        "cores": outcome.cores,
        "documents": {name: len(getattr(parts, name)) for name in ("training", "validation", "test")},
        "scored": outcome.scored,
        "repeated": parts.repeated,
        "ended_early": outcome.cut_short,
        "recommended": verdict.recommended,
        "command": outcome.command,
        "verdict": verdict.sentences,
        "gain": _estimate(verdict.gain),
        "gain_of_longer": _estimate(verdict.longer),
        "test": {role: _estimate(loss) for role, loss in verdict.losses.items()},
        "recipes": {role: asdict(outcome.recipe(role)) for role in verdict.losses if _was_tried(outcome, role)},
        "samples": outcome.samples,
        "tried": [asdict(each) for each in outcome.tried],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _was_tried(outcome: Outcome, role: str) -> bool:
    return role == WINNER or any(each.role == role for each in outcome.tried)


def _estimate(value: Any) -> dict[str, float] | None:
    return None if value is None else asdict(value)
