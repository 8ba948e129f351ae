"""An in-order model of the LX6 pipeline: how many cycles a run of instructions takes.

Single issue: an instruction issues one cycle after the one before, or when the last of its sources is ready; jumps lose
cycles. The numbers reproduce Espressif's published measurements of float32 and integer loops on the ESP32 to 0.5 % or
one cycle, for code in IRAM and data in internal RAM. Conversions, comparisons, rfr, division and window exceptions are
guesses.
"""

from pathlib import Path

from mgbuild.firmware import isa
from mgbuild.firmware.isa import Instruction
from mgbuild.firmware.machine_code import MachineCode

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
CALLS = (*isa.CALLS, *isa.CALLS_OF_REGISTERS)
JUMPS_BY_REGISTER = ("jx", *isa.CALLS_OF_REGISTERS, *isa.RETURNS, *isa.EXCEPTION_RETURNS)
CHANGING_WINDOW = (*CALLS, *isa.RETURNS)  # integer registers have other names afterwards

TAKEN = 3  # lost cycles of a taken branch, a jump, a call, a return; of loopnez and loopgtz that skip their loop
STRADDLE = 1  # more, if the instruction jumped to crosses a 4-byte word
ENTRY = 3  # lost cycles after entry: call8, entry and retw lose 9 in sum
LOOP_REPEATS = 1  # lost cycles of loop, if it repeats
WINDOW_EXCEPTION = 6

Run = tuple[Instruction, ...]  # instructions one behind the other, executed without a jump
State = frozenset[tuple[str, int, bool]]  # registers not ready: cycles from now, and whether a float load sets it
IDLE: State = frozenset()


class Code(dict[int, Instruction]):
    """The instructions of an ELF by address, decoded when asked for; raises UserError where there is none."""

    def __init__(self, elf: Path) -> None:
        super().__init__()
        self._machine_code = MachineCode(elf)

    def __missing__(self, address: int) -> Instruction:
        self[address] = self._machine_code.instruction(address)
        return self[address]

    def run(self, first: int, last: int) -> Run:
        """The instructions from one address to another, one behind the other."""
        found = [self[first]]
        while found[-1].address < last:
            found.append(self[found[-1].end])
        return tuple(found)


def jumps(instruction: Instruction) -> bool:
    """Whether an instruction may go elsewhere, the ends of hardware loops aside."""
    return instruction.target is not None or instruction.name in JUMPS_BY_REGISTER


def lost_at(run: Run, index: int) -> int:
    """Lost cycles behind an instruction of a run, whatever comes after the run."""
    instruction = run[index]
    if instruction.name == "entry":
        return ENTRY
    last = run[-1]
    if instruction.name not in isa.LOOPS or instruction is last or instruction.target is None:
        return 0
    return 0 if last.end > instruction.target else LOOP_REPEATS  # 0: the run goes on behind the loop


def jump_cycles(last: Instruction, target: Instruction) -> int:
    """Lost cycles of going from the last instruction of a run to the first of the next."""
    if not jumps(last):
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
        if instruction.name in CHANGING_WINDOW:
            ready = {name: entry for name, entry in ready.items() if not name.startswith("a")}
        cycle += 1 + lost_at(run, index)
    return cycle, pause(frozenset((name, *entry) for name, entry in ready.items()), cycle)
