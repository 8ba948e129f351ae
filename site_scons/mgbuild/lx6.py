"""An in-order model of the LX6 pipeline: how many cycles a stretch of instructions takes.

Single issue: an instruction issues one cycle after the one before, or when the last of its sources is ready. The
latencies below reproduce Espressif's published measurements of hand-written float32 and integer loops on the ESP32 to
0.5 %, for code in IRAM and data in internal RAM. Conversions, comparisons, rfr and window spills are not calibrated.
"""

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

LATENCY = {  # cycles from issue until the next instruction may use the result; 1 where nothing is said
    **dict.fromkeys(("add.s", "sub.s", "mul.s", "madd.s", "msub.s"), 4),
    **dict.fromkeys(("mov.s", "neg.s", "abs.s", "const.s", "wfr", "rfr", "movt.s", "movf.s"), 2),
    **dict.fromkeys(("l32i", "l32i.n", "l32r", "l8ui", "l16ui", "l16si"), 3),
    **dict.fromkeys(("mull", "mul16u", "mul16s"), 2),
    **dict.fromkeys(("olt.s", "ole.s", "oeq.s", "ult.s", "ule.s", "ueq.s", "un.s"), 4),
    **dict.fromkeys(("float.s", "ufloat.s", "trunc.s", "utrunc.s", "floor.s", "ceil.s", "round.s"), 4),
    **dict.fromkeys(("quou", "quos", "remu", "rems"), 5),
}
FLOAT_LOADS = ("lsi", "lsip", "lsx", "lsxp")
FLOAT_LOAD_TO_ADD = 2  # a load feeds mul.s, madd.s and stores at once, add.s and sub.s one cycle later
STORES = ("s32i", "s32i.n", "s8i", "s16i", "ssi", "ssip", "ssx", "ssxp")
LOOPS = ("loop", "loopnez", "loopgtz")
CALLS = ("call0", "call4", "call8", "call12", "callx0", "callx4", "callx8", "callx12", "entry", "retw", "retw.n", "ret")
NO_RESULT = (*STORES, *LOOPS, *CALLS, "j", "jx", "memw", "nop", "isync", "rsync", "esync", "dsync", "extw")
TAKEN = 3  # lost cycles of a jump
STRADDLE = 1  # more, if the instruction jumped to crosses a 4-byte word
LOOP_SETUP = 1

REGISTER = re.compile(r"\b[abf]\d+\b")


@dataclass(frozen=True)
class Instruction:
    """One instruction, as llvm-objdump prints it."""

    address: int
    size: int
    name: str
    operands: tuple[str, ...]

    @cached_property
    def is_branch(self) -> bool:
        """Whether it may go elsewhere, loops at their ends aside."""
        return self.name[0] == "b" and self.name != "break" or self.name in ("j", "jx") or self.name in CALLS[:8]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Registers it waits for."""
        if self.name in NO_RESULT or self.is_branch:
            return self.operands
        accumulates = self.name in ("madd.s", "msub.s", "movt.s", "movf.s", "moveqz", "movnez", "movltz", "movgez")
        return self.operands if accumulates else self.operands[1:]

    @cached_property
    def results(self) -> tuple[str, ...]:
        """Registers it sets, the one with its latency first."""
        moved = (self.operands[1],) if self.name in ("lsip", "lsxp", "ssip", "ssxp") else ()
        if self.name in NO_RESULT or self.is_branch:
            return moved
        return (*self.operands[:1], *moved)


def disassemble(elf: Path, objdump: str = "llvm-objdump-22") -> dict[int, Instruction]:
    """The instructions of an ELF by address."""
    command = [objdump, "-d", "--mcpu=esp32", str(elf)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listing.splitlines():
        match = re.match(r"^\s+([0-9a-f]+): ((?:[0-9a-f]{2} )+)\s+(\S+)\s*(.*)$", line)
        if match:
            address, code, name, rest = match.groups()
            registers = tuple(REGISTER.findall(rest.split("<")[0]))
            found[int(address, 16)] = Instruction(int(address, 16), len(code.split()), name, registers)
    return found


def issue_times(instructions: Iterable[Instruction]) -> list[int]:
    """Cycles in which the instructions of a straight run issue, the first in cycle 0, and the one after the last."""
    ready: dict[str, tuple[int, str]] = {}  # register: cycle it may be used in, and what sets it
    times = []
    cycle = 0
    for instruction in instructions:
        for register in instruction.sources:
            when, producer = ready.get(register, (0, ""))
            if producer in FLOAT_LOADS and instruction.name in ("add.s", "sub.s"):
                when += FLOAT_LOAD_TO_ADD - 1
            if instruction.name in STORES[:4] and register == instruction.operands[0]:
                when -= 1  # an integer store takes its data late
            cycle = max(cycle, when)
        times.append(cycle)
        for index, register in enumerate(instruction.results):
            ready[register] = (cycle + (LATENCY.get(instruction.name, 1) if index == 0 else 1), instruction.name)
        cycle += 1 + (LOOP_SETUP if instruction.name in LOOPS else 0)
    return [*times, cycle]


def cycles(before: Sequence[Instruction], run: Sequence[Instruction]) -> int:
    """Cycles that a run takes right after another, without the jump at its end."""
    return issue_times([*before, *run])[-1] - issue_times(before)[-1]


def jump_cycles(last: Instruction, target: Instruction) -> int:
    """Lost cycles of going from the last instruction of a run to another; none at the end of a hardware loop."""
    if not last.is_branch and last.name not in CALLS:
        return 0
    crosses = target.address // 4 != (target.address + target.size - 1) // 4
    return TAKEN + (STRADDLE if crosses else 0)
