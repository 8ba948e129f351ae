"""An in-order model of the LX6 pipeline: how many cycles a run of instructions takes.

Single issue: an instruction issues one cycle after the one before, or when the last of its sources is ready; jumps lose
cycles. The numbers reproduce Espressif's published measurements of float32 and integer loops on the ESP32 to 0.5 % or
one cycle, for code in IRAM and data in internal RAM. Conversions, comparisons, rfr, division and window exceptions are
guesses.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mgbuild.errors import UserError

LATENCY = {  # cycles from issue until the next instruction may use the result; 1 where nothing is said
    **dict.fromkeys(("add.s", "sub.s", "mul.s", "madd.s", "msub.s"), 4),
    **dict.fromkeys(("mov.s", "neg.s", "abs.s", "const.s", "wfr", "rfr"), 2),
    **dict.fromkeys(("movt.s", "movf.s", "moveqz.s", "movnez.s", "movltz.s", "movgez.s"), 2),
    **dict.fromkeys(("l32i", "l32i.n", "l32r", "l32e", "l8ui", "l16ui", "l16si"), 3),
    **dict.fromkeys(("mull", "mul16u", "mul16s"), 2),
    **dict.fromkeys(("olt.s", "ole.s", "oeq.s", "ult.s", "ule.s", "ueq.s", "un.s"), 4),
    **dict.fromkeys(("float.s", "ufloat.s", "trunc.s", "utrunc.s", "floor.s", "ceil.s", "round.s"), 4),
    **dict.fromkeys(("quou", "quos", "remu", "rems"), 5),
}
FLOAT_LOADS = ("lsi", "lsip", "lsx", "lsxp")
FLOAT_LOAD_TO_ADD = 1  # cycles that add.s and sub.s wait for a float load longer than mul.s, madd.s and stores do
INTEGER_STORES = ("s32i", "s32i.n", "s8i", "s16i", "s32e")
INTEGER_STORE_LATE = 1  # cycles after issue when an integer store takes its data
STORES = (*INTEGER_STORES, "ssi", "ssip", "ssx", "ssxp")
UPDATING = ("lsip", "lsxp", "ssip", "ssxp")  # move their base register, the second operand
LOOPS = ("loop", "loopnez", "loopgtz")
CALLS = ("call0", "call4", "call8", "call12", "callx0", "callx4", "callx8", "callx12")
RETURNS = ("ret", "ret.n", "retw", "retw.n")
EXCEPTION_RETURNS = ("rfe", "rfi", "rfwo", "rfwu")
ONLY_SOURCES = ("wsr", "wur", "ssr", "ssl", "ssa8l", "ssa8b")
CONDITIONAL_MOVES = re.compile(r"mov(t|f|eqz|nez|ltz|gez)(\.s)?")  # their destination may keep its value

TAKEN = 3  # lost cycles of a taken branch, a jump, a call, a return; of loopnez and loopgtz that skip their loop
STRADDLE = 1  # more, if the instruction jumped to crosses a 4-byte word
ENTRY = 3  # lost cycles after entry: call8, entry and retw lose 9 in sum
LOOP_REPEATS = 1  # lost cycles of loop, if it repeats
WINDOW_EXCEPTION = 6

REGISTER = re.compile(r"\b[abf]\d+\b")
LINE = re.compile(r"^\s+([0-9a-f]+): ((?:[0-9a-f]{2} )+)\s+(\S+)\s*(.*)$")
ADDRESS = re.compile(r"0x([0-9a-f]+)$")


@dataclass(frozen=True)
class Instruction:
    """One instruction, as llvm-objdump prints it: `registers` are its operands that are registers, in order."""

    address: int
    size: int
    name: str
    registers: tuple[str, ...]
    loop_end: int = 0  # of a loop: the address behind its body

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.size

    @property
    def straddles(self) -> bool:
        """Whether it crosses a 4-byte word."""
        return self.address // 4 != (self.end - 1) // 4

    @property
    def changes_window(self) -> bool:
        """Whether integer registers have other names afterwards."""
        return self.name in CALLS or self.name in RETURNS

    @cached_property
    def jumps(self) -> bool:
        """Whether it may go elsewhere, the ends of hardware loops aside."""
        branch = self.name.startswith("b") and self.name not in ("break", "break.n")
        return branch or self.name in ("j", "jx", *CALLS, *RETURNS, *EXCEPTION_RETURNS, *LOOPS)

    @cached_property
    def results(self) -> tuple[str, ...]:
        """Registers it sets, the one with its latency first."""
        moved = (self.registers[1],) if self.name in UPDATING else ()
        if self.jumps or self.name in STORES or self.name in ONLY_SOURCES:
            return moved
        return (*self.registers[:1], *moved)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Registers it waits for."""
        if self.jumps or self.name in STORES or self.name in ONLY_SOURCES:
            return self.registers
        keeps = self.name in ("madd.s", "msub.s") or CONDITIONAL_MOVES.fullmatch(self.name)
        return self.registers if keeps else self.registers[1:]


Run = tuple[Instruction, ...]  # instructions one behind the other, executed without a jump
State = frozenset[tuple[str, int, bool]]  # registers not ready: cycles from now, and whether a float load sets it
IDLE: State = frozenset()


class Code(dict[int, Instruction]):
    """The instructions of an ELF by address, decoded by llvm-objdump.

    It decodes from symbol to symbol, and goes astray behind the padding that GNU as puts between instructions; so what
    is asked for and was not found is decoded from there. Of what lies between instructions, there is any nonsense.
    Raises UserError when there is no llvm-objdump, or no instruction at an address.
    """

    def __init__(self, elf: Path) -> None:
        super().__init__()
        self._elf = elf
        self._decode()

    def __missing__(self, address: int) -> Instruction:
        self._decode(f"--start-address={address:#x}")
        if address not in self:
            raise UserError(f"{self._elf} has no instruction at {address:#x}")
        return self[address]

    def _decode(self, *flags: str) -> None:
        objdump = shutil.which("llvm-objdump-22") or shutil.which("llvm-objdump")
        if objdump is None:
            raise UserError("no disassembler: llvm-objdump-22 is not on PATH; install it (Debian: apt install llvm-22)")
        command = [objdump, "-d", "--mcpu=esp32", *flags, str(self._elf)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise UserError(f"{objdump} cannot disassemble {self._elf}: {result.stderr.strip()}")
        self.update((found.address, found) for found in map(parse, result.stdout.splitlines()) if found)

    def run(self, first: int, last: int) -> Run:
        """The instructions from one address to another, one behind the other."""
        found = [self[first]]
        while found[-1].address < last:
            found.append(self[found[-1].end])
        return tuple(found)


def parse(line: str) -> Instruction | None:
    """The instruction in a line of llvm-objdump's output, if there is one."""
    match = LINE.match(line)
    if match is None:
        return None
    address, code, name, operands = match.groups()
    operands = operands.split("<")[0].strip()
    target = ADDRESS.search(operands)
    loop_end = int(target.group(1), 16) if target and name in LOOPS else 0
    return Instruction(int(address, 16), len(code.split()), name, tuple(REGISTER.findall(operands)), loop_end)


def lost_at(run: Run, index: int) -> int:
    """Lost cycles behind an instruction of a run, whatever comes after the run."""
    instruction = run[index]
    if instruction.name == "entry":
        return ENTRY
    last = run[-1]
    once = last.end > instruction.loop_end  # the run goes on behind the loop
    return LOOP_REPEATS if instruction.name in LOOPS and instruction is not last and not once else 0


def jump_cycles(last: Instruction, target: Instruction) -> int:
    """Lost cycles of going from the last instruction of a run to the first of the next."""
    if not last.jumps:
        return 0  # a hardware loop goes round
    return TAKEN + (STRADDLE if target.straddles else 0)


def pause(state: State, cycles: int) -> State:
    """What is not ready some lost cycles later."""
    return frozenset((name, left - cycles, load) for name, left, load in state if left + load > cycles)


def execute(run: Run, state: State = IDLE) -> tuple[int, State]:
    """Cycles that a run takes in a state of the pipeline, the jump at its end left out, and the state after it."""
    ready = {name: (left, load) for name, left, load in state}
    cycle = 0
    for index, instruction in enumerate(run):
        for register in instruction.sources:
            when, load = ready.get(register, (0, False))
            if load and instruction.name in ("add.s", "sub.s"):
                when += FLOAT_LOAD_TO_ADD
            if instruction.name in INTEGER_STORES and register == instruction.registers[0]:
                when -= INTEGER_STORE_LATE
            cycle = max(cycle, when)
        for register in instruction.results[1:]:
            ready[register] = (cycle + 1, False)
        for register in instruction.results[:1]:
            ready[register] = (cycle + LATENCY.get(instruction.name, 1), instruction.name in FLOAT_LOADS)
        if instruction.changes_window:
            ready = {name: entry for name, entry in ready.items() if not name.startswith("a")}
        cycle += 1 + lost_at(run, index)
    return cycle, pause(frozenset((name, *entry) for name, entry in ready.items()), cycle)
