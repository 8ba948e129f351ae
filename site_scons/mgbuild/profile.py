"""What the emulated core executes: instructions and modelled cycles, by kernel and by phase of a training step."""

import bisect
import subprocess
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mgbuild import emulator, lx6

# Functions that own what is executed from them on; kernels and helpers belong to whoever ran last.
PHASES = {
    "forward": "forward",
    "cross_entropy": "forward",
    "backward": "backward",
    "adam_update": "Adam",
    "adam_next": "rest",
    "adam_rescale": "rest",
    "trainer_step": "rest",
    "trainer_sample": "generation",
    "trainer_begin": "start",
    "dataset_open": "start",
    "app_main": "console",
}
TRAINING = ("forward", "backward", "Adam", "rest")


@dataclass
class Profile:
    """Instructions and modelled cycles of a whole run, by (phase, function)."""

    instructions: Counter[tuple[str, str]] = field(default_factory=Counter)
    cycles: Counter[tuple[str, str]] = field(default_factory=Counter)

    def phase(self, phase: str) -> int:
        """Instructions of a phase."""
        return sum(count for (owner, _), count in self.instructions.items() if owner == phase)

    def training(self, counts: Counter[tuple[str, str]]) -> Counter[str]:
        """Counts of the training phases by function."""
        total: Counter[str] = Counter()
        for (owner, function), count in counts.items():
            if owner in TRAINING:
                total[function] += count
        return total


def run(plugin: Path, firmware: Path, dataset: Path, timeout: float) -> tuple[Profile, str]:
    """Profile a run of the program on the emulated core; returns what its console printed as well.

    Generation runs forward() too: what lies between trainer_sample and the next training step counts to generation.
    Raises subprocess.CalledProcessError when the program or the plugin fails.
    """
    functions = _functions(firmware)
    names = [name for _, _, name in functions]
    owners = [name for name in PHASES if name in names]
    spans = {name: (start, end) for start, end, name in functions}
    with tempfile.TemporaryDirectory() as folder:
        pairs_file = Path(folder, "pairs")
        arguments = [f"out={pairs_file}", f"after={owners.index('trainer_sample')}"]
        arguments += [f"owner={spans[name][0]:x}-{spans[name][1]:x}" for name in owners]
        flags = ["-plugin", ",".join([str(plugin.resolve()), *arguments])]
        result = emulator.capture(firmware, dataset, timeout, *flags)
        if result.returncode != 0:
            raise subprocess.CalledProcessError(result.returncode, "profile", result.stdout, result.stderr)
        lines = pairs_file.read_text().splitlines()
    pairs = []
    for line in lines:
        owner, first, last, following, count = line.split()
        pairs.append((int(owner), int(first, 16), int(last, 16), int(following, 16), int(count)))
    return _attribute(pairs, owners, functions, lx6.disassemble(firmware)), result.stdout


def _functions(firmware: Path) -> list[tuple[int, int, str]]:
    """Start, end and name of every function, by address."""
    with firmware.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        sized = [s for s in symbols if s["st_info"]["type"] == "STT_FUNC"]
        return sorted((s["st_value"], s["st_value"] + s["st_size"], s.name) for s in sized)


def _attribute(
    pairs: list[tuple[int, int, int, int, int]],
    owners: list[str],
    functions: list[tuple[int, int, str]],
    code: dict[int, lx6.Instruction],
) -> Profile:
    addresses = sorted(code)
    starts = [start for start, _, _ in functions]

    def instructions(first: int, last: int) -> list[lx6.Instruction]:
        low, high = bisect.bisect_left(addresses, first), bisect.bisect_right(addresses, last)
        return [code[address] for address in addresses[low:high]]

    def function(address: int) -> str:
        index = bisect.bisect_right(starts, address) - 1
        return functions[index][2] if index >= 0 and address < functions[index][1] else "window vectors"

    before: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)  # what usually runs before an address
    for _, first, last, following, count in pairs:
        before[following][first, last] += count
    run_cycles: dict[tuple[int, int], int] = {}
    profile = Profile()
    for owner, first, last, following, count in pairs:
        run_code = instructions(first, last)
        if (first, last) not in run_cycles:
            usual = before[first].most_common(1)
            context = instructions(*usual[0][0])[-12:] if usual else []
            run_cycles[first, last] = lx6.cycles(context, run_code)
        jump = lx6.jump_cycles(code[last], code[following]) if following else 0
        key = (PHASES[owners[owner]] if owner >= 0 else "start", function(first))
        profile.instructions[key] += count * len(run_code)
        profile.cycles[key] += count * (run_cycles[first, last] + jump)
    return profile
