"""The rules of zero-overhead loops, checked in a linked program.

The LX6 takes LOOP, LOOPNEZ and LOOPGTZ in hardware, and some bodies it executes wrongly without a word; no emulator
notices. Sources: Xtensa ISA reference manual, Loop Option; GNU as manual, Xtensa Automatic Alignment; what ends a loop:
is_bad_loopend_opcode of GNU as (gas/config/tc-xtensa.c).
"""

from collections.abc import Callable
from pathlib import Path

from mgbuild.errors import UserError
from mgbuild.firmware import isa
from mgbuild.firmware.machine_code import Function, MachineCode, successors

LCOUNT = 2  # the special register
_CALLS = (*isa.CALLS, *isa.CALLS_OF_REGISTERS)


def check(elf: Path) -> int:
    """The number of loops in the functions of an ELF; raises UserError, naming each, for those that break a rule."""
    code = MachineCode(elf)
    loops = 0
    errors: list[str] = []
    for function in code.functions.values():
        ops = _instructions(code, function)
        for op in ops.values():
            if op.name in isa.LOOPS:
                loops += 1
                wrong = _wrong(ops, op)
                if wrong:
                    errors.append(f"{function.name}: the {op.name} at {op.address:#010x} {wrong}")
    if errors:
        raise UserError(f"{elf} has loops that the LX6 would execute wrongly:\n" + "\n".join(sorted(errors)))
    return loops


def _instructions(code: MachineCode, function: Function) -> dict[int, isa.Instruction]:
    """The instructions of a function that paths from its beginning reach, by address.

    A loop's end counts as reached only where an instruction ends there: a wrong one may lie within an instruction.
    """
    ops: dict[int, isa.Instruction] = {}
    paths = [function.start]
    while paths:
        while paths:
            address = paths.pop()
            if address in function and address not in ops:
                ops[address] = op = code.instruction(address)
                paths += [op.end] if op.name in isa.LOOPS else successors(op)
        ends = {op.end for op in ops.values() if op.end in function} - ops.keys()
        paths += [op.target for op in ops.values() if op.name in isa.LOOPS and op.target in ends]
    return ops


def _wrong(ops: dict[int, isa.Instruction], loop: isa.Instruction) -> str:
    """What is wrong with a loop, and what to do; nothing if all is well."""
    head = ops.get(loop.end)
    last = next((op for op in ops.values() if op.end == loop.target), None)
    if not head or not last:
        return f"ends at {loop.target:#010x}, where no instruction of its function ends"
    if head.straddles:
        return (
            f"has a body whose first instruction, at {head.address:#010x}, crosses a 4-byte word; put a nop.n before "
            "the loop, or write an instruction before it in its other form (two bytes with .n, three without)"
        )
    for op in _repeated(ops, loop, head, last):
        if op.name in _CALLS:
            return f"has a call in its body, at {op.address:#010x}, and the callee may use the only loop registers"
        if op.name in isa.LOOPS:
            return f"has another in its body, at {op.address:#010x}, and there is one set of loop registers"
    if last.name in (*isa.RETURNS, "isync", "waiti") or (last.name == "rsr" and last.immediate == LCOUNT):
        return f"ends with {last.name}, at {last.address:#010x}, which must not be last; put a nop behind it"
    return ""


def _repeated(
    ops: dict[int, isa.Instruction], loop: isa.Instruction, head: isa.Instruction, last: isa.Instruction
) -> list[isa.Instruction]:
    """The instructions on the ways from a loop's first to its last, in order of address.

    Compilers put what leaves a loop for good between the two, and what comes back to it outside.
    """
    before: dict[int, list[int]] = {}
    for op in ops.values():
        for following in successors(op):
            before.setdefault(following, []).append(op.address)

    def reached(start: int, ways: Callable[[int], list[int]]) -> set[int]:
        found: set[int] = set()
        paths = [start]
        while paths:
            address = paths.pop()
            if address in ops and address not in found and address != loop.address:
                found.add(address)
                paths += ways(address)
        return found

    forwards = reached(head.address, lambda address: successors(ops[address]))
    backwards = reached(last.address, lambda address: before.get(address, []))
    return [ops[address] for address in sorted(forwards & backwards)]
