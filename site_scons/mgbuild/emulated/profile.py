"""What the emulated core executes: instructions and modelled cycles, by phase of a training step and by function.

As a program: python -m mgbuild.emulated.profile PLUGIN FIRMWARE DATASET [CHECKPOINT] prints them for any ELF for the
sim board; for tokens instead of steps where it goes on from a checkpoint that is trained, or has weights alone.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from mgbuild.emulated import emulator, lx6
from mgbuild.errors import UserError
from mgbuild.firmware.elf import opened, symbols

# What runs from the entry of a function to its return belongs to its phase, but for functions here that it calls.
PHASES = {
    "app_begin": "console",
    "app_turn": "console",
    "dataset_open": "start",
    "learner_begin": "start",
    "learner_step": "rest",
    "forward": "forward",
    "cross_entropy": "forward",
    "backward": "backward",
    "adam_update": "Adam",
    "adam_update_large": "Adam",
    "adam_decay": "Adam",
    "learner_help": "rest",
    "team_post": "rest",
    "team_wait": "waiting",
    "learner_draw": "generation",
    "predict_logits": "generation",
}
WITH_ALL_THEY_CALL = ("learner_draw", "predict_logits")
MARKS = ("team_post", "team_wait")  # on each core as many: where it gives out or takes a job, and at each barrier
TRAINING = ("forward", "backward", "Adam", "rest")
GENERATION = ("generation",)
BARRIER_CYCLES = 40  # from the later core's arrival until both go on: a store, a load, two memw; stated, not measured
TIMEOUT = 1800  # seconds; the plain kernels take some minutes on a busy machine
WINDOW_VECTORS = "window_"  # names of the handlers begin so


@dataclass(frozen=True)
class Owner:
    """Whom an instruction counts to: phase, kernel that runs ("" outside), function that holds it, core."""

    phase: str
    kernel: str
    function: str
    core: int = 0


class Stretch(NamedTuple):
    """What a core does between two marks: the phase in which it ends, and modelled cycles by phase, without waiting."""

    phase: str
    cycles: Counter[str]


@dataclass
class Profile:
    """Counts of a whole run."""

    instructions: Counter[Owner] = field(default_factory=Counter)
    cycles: Counter[Owner] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)  # of each function
    costs: dict[tuple[str, ...], int] = field(default_factory=dict)  # cycles of a run behind another, outside waiting
    console: str = ""

    @property
    def steps(self) -> int:
        """Training steps taken."""
        return self.calls["learner_step"]

    @property
    def tokens(self) -> int:
        """Tokens drawn while generating, those that end a document included."""
        return self.calls["random_choice"]


def total(counts: Counter[Owner], phases: Collection[str], key: Callable[[Owner], str]) -> Counter[str]:
    """Sums of the counts of some phases, by what `key` says of their owners."""
    sums: Counter[str] = Counter()
    for owner, count in counts.items():
        if owner.phase in phases:
            sums[key(owner)] += count
    return sums


def run(
    plugin: Path,
    firmware: Path,
    dataset: Path,
    kernels: Iterable[str] = (),
    cores: int = 1,
    resume: Path | None = None,
) -> Profile:
    """Profile a run of the program on the emulated core; `kernels` are functions with what they call.

    resume: a checkpoint that the program goes on from.
    The counts are exact and the same in every run, those of waiting aside. Raises UserError when the emulator takes no
    plugin, the program fails, or the firmware lacks a function of PHASES.
    """
    starts = _opened(firmware).starts
    present = [name for name in kernels if name in starts]
    lines, console = _traced(plugin, firmware, dataset, [f"kernel={starts[name]:x}" for name in present], cores, resume)
    profile = Profile(console=console)
    _attribute(profile, lines, present, _opened(firmware))
    return profile


def stretches(
    plugin: Path, firmware: Path, dataset: Path, profile: Profile, resume: Path | None = None
) -> list[tuple[Stretch, Stretch]]:
    """What both cores do between one mark and the next, in order, from a second run; `profile` is the first."""
    phases = ["start", *PHASES.values()]
    with tempfile.TemporaryDirectory() as folder:
        costs = Path(folder, "costs")
        known = (f"{' '.join(pair)} {cycles}\n" for pair, cycles in profile.costs.items())
        costs.write_text("".join(known), encoding="ascii")
        lines, _ = _traced(plugin, firmware, dataset, [f"costs={costs}"], 2, resume)
    found: tuple[list[Stretch], list[Stretch]] = ([], [])
    for core, last, *cycles in lines:
        by_phase: Counter[str] = Counter()
        for phase, count in zip(phases, cycles, strict=True):
            by_phase[phase] += int(count)
        found[int(core)].append(Stretch(phases[int(last) + 1], by_phase))
    return list(zip(*found, strict=False))  # the last one on either core has no mark at its end


def cycles_of_pair(found: list[tuple[Stretch, Stretch]], steps: int) -> tuple[int, int]:
    """Modelled cycles of all training steps on two cores, and the barriers within.

    The slower core's time between one mark and the next counts, and BARRIER_CYCLES more for each barrier.
    """
    cycles = marks = 0
    for pair in found:
        cycles += max(sum(stretch.cycles[phase] for phase in TRAINING) for stretch in pair)
        marks += pair[0].phase in TRAINING
    barriers = marks - steps  # one mark of a step is the beginning of a job
    return cycles + barriers * BARRIER_CYCLES, barriers


def _traced(
    plugin: Path, firmware: Path, dataset: Path, arguments: Iterable[str], cores: int, resume: Path | None = None
) -> tuple[list[list[str]], str]:
    """What the plugin writes with these arguments, line by line in words, and what the program prints."""
    starts = _opened(firmware).starts
    missing = [name for name in PHASES if name not in starts]
    if missing:
        raise UserError(f"{firmware} cannot be profiled, it has no function {', '.join(missing)}")
    phases = list(PHASES)
    with emulator.folder(resume, None) as folder:
        output = folder / "pairs"
        words = [f"out={output}", *(f"phase={starts[name]:x}" for name in phases), *arguments]
        words += [f"keep={phases.index(name)}" for name in WITH_ALL_THEY_CALL]
        words += [f"mark={phases.index(name)}" for name in MARKS]
        words += [f"alone={phases.index('team_wait')}"]
        flags = ["-plugin", ",".join([str(plugin.resolve()), *words])]
        try:
            paths = firmware.absolute(), dataset.absolute()
            result = emulator.capture(*paths, TIMEOUT, *flags, cores=cores, cwd=folder)
        except subprocess.TimeoutExpired:
            raise UserError(f"profiling {firmware} takes more than {TIMEOUT} seconds; use fewer steps") from None
        if result.returncode != 0 or not output.exists():
            reason = (result.stderr or result.stdout).strip()[-500:]
            raise UserError(f"{emulator.PROGRAM} cannot profile {firmware}: {reason or 'no counts'}")
        return [line.split() for line in output.read_text(encoding="ascii").splitlines()], result.stdout


@dataclass
class _Firmware:
    """What a program's machine code says, worked out once for all its runs."""

    functions: list[tuple[int, int, str]]  # start, end and name of each, by address
    code: lx6.Code
    modelled: dict[tuple[str, ...], tuple[int, int]] = field(default_factory=dict)  # what pair() has found

    @cached_property
    def holders(self) -> dict[int, str]:
        """The function that holds an address."""
        return {address: name for start, end, name in self.functions for address in range(start, end)}

    @cached_property
    def starts(self) -> dict[str, int]:
        """Where a function begins."""
        return {name: start for start, _, name in self.functions}

    @cached_property
    def names(self) -> dict[int, str]:
        """The function that begins at an address."""
        return {start: name for start, _, name in self.functions}

    def pair(self, addresses: tuple[str, ...]) -> tuple[int, int]:
        """Instructions and modelled cycles of a run, those lost before it included; addresses as the plugin has them.

        It is modelled in the state that the run before it leaves behind when it starts from idle: no latency outlasts a
        run and the jump at its end by so much that the run before that mattered.
        """
        found = self.modelled.get(addresses)
        if found is None:
            found = self.modelled[addresses] = self._model(*(int(address, 16) for address in addresses))
        return found

    def called(self, addresses: tuple[str, ...]) -> str | None:
        """The function that the second of two runs is the beginning of, where the first calls it."""
        _, before_last, first, _ = (int(address, 16) for address in addresses)
        called = first in self.names and before_last and self.code[before_last].name in lx6.CALLS
        return self.names[first] if called else None

    def _model(self, before_first: int, before_last: int, first: int, last: int) -> tuple[int, int]:
        run = self.code.run(first, last)
        lost, state = 0, lx6.IDLE
        if before_last:
            before = self.code.run(before_first, before_last)
            exception = self.names.get(first, "").startswith(WINDOW_VECTORS)
            lost = lx6.WINDOW_EXCEPTION if exception else lx6.jump_cycles(before[-1], run[0])
            state = lx6.pause(lx6.execute(before)[1], lost)
        return len(run), lost + lx6.execute(run, state)[0]


def _opened(firmware: Path) -> _Firmware:
    """The machine code of a firmware, the same object as long as the file does not change."""
    return _read(firmware.resolve(), firmware.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(firmware: Path, changed: int) -> _Firmware:
    with opened(firmware) as file:
        sized = [symbol for symbol in symbols(file) if symbol["st_info"]["type"] == "STT_FUNC"]
        functions = sorted((each["st_value"], each["st_value"] + each["st_size"], each.name) for each in sized)
    return _Firmware(functions, lx6.Code(firmware))


def _attribute(profile: Profile, pairs: Iterable[list[str]], kernels: list[str], firmware: _Firmware) -> None:
    """Add up the plugin's pairs of runs."""
    phases = list(PHASES.values())
    for core, phase, kernel, *words, count in pairs:
        addresses = tuple(words)
        phase_name = phases[int(phase)] if int(phase) >= 0 else "start"
        function = firmware.holders.get(int(addresses[2], 16), "elsewhere")
        owner = Owner(phase_name, kernels[int(kernel)] if int(kernel) >= 0 else "", function, int(core))
        called = firmware.called(addresses)
        if called is not None:
            profile.calls[called] += int(count)
        instructions, cycles = firmware.pair(addresses)
        profile.instructions[owner] += int(count) * instructions
        profile.cycles[owner] += int(count) * cycles
        if phase_name != "waiting":
            profile.costs[addresses] = cycles


def main(arguments: list[str]) -> str:
    """The program: counts for each training step, or else each token, by phase and function, as text."""
    if len(arguments) not in (3, 4):
        raise UserError("usage: python -m mgbuild.emulated.profile PLUGIN FIRMWARE DATASET [CHECKPOINT]")
    paths = [Path(argument) for argument in arguments]
    absent = [str(path) for path in paths if not path.is_file()]
    if absent:
        raise UserError(f"no such file: {', '.join(absent)}")
    plugin, firmware, dataset, *resume = paths
    profile = run(plugin, firmware, dataset, resume=resume[0] if resume else None)
    trains = profile.steps > 0
    what, count_of, phases = ("step", profile.steps, TRAINING) if trains else ("token", profile.tokens, GENERATION)
    lines = [f"{profile.steps} steps, {profile.tokens} tokens; instructions and modelled cycles for each {what}"]
    for title, key in (("by phase", lambda owner: owner.phase), ("by function", lambda owner: owner.function)):
        instructions = total(profile.instructions, phases, key)
        cycles = total(profile.cycles, phases, key)
        lines.append(f"\n{title:<24}{'instructions':>14}{'cycles':>14}")
        for name, count in [*instructions.most_common(), ("all", instructions.total())]:
            modelled = cycles.total() if name == "all" else cycles[name]
            lines.append(f"{name:<24}{count / count_of:>14,.0f}{modelled / count_of:>14,.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"error: {error}")
