"""The rules of zero-overhead loops, checked in a linked program.

The LX6 takes LOOP, LOOPNEZ and LOOPGTZ in hardware, and some bodies it executes wrongly without a word; no emulator
notices. Sources: Xtensa ISA reference manual, Loop Option; GNU as manual, Xtensa Automatic Alignment; what ends a loop:
is_bad_loopend_opcode of GNU as (gas/config/tc-xtensa.c).
"""

from pathlib import Path

from mgbuild.errors import UserError
from mgbuild.firmware import isa
from mgbuild.firmware.machine_code import Function, MachineCode

LCOUNT = 2  # the special register
_CALLS = (*isa.CALLS, *isa.CALLS_OF_REGISTERS)


def check(elf: Path) -> int:
    """The number of loops in the functions of an ELF; raises UserError, naming each, for those that break a rule."""
    code = MachineCode(elf)
    loops = 0
    errors: list[str] = []
    for function in code.functions.values():
        for op in code.reachable(function):
            if op.name in isa.LOOPS:
                loops += 1
                body = _body(code, function, op)
                wrong = (
                    _wrong(body) if body else f"ends at {op.target:#010x}, where no instruction of its function ends"
                )
                if wrong:
                    errors.append(f"{function.name}: the {op.name} at {op.address:#010x} {wrong}")
                if not body:
                    break  # what is behind it cannot be read
    if errors:
        raise UserError(f"{elf} has loops that the LX6 would execute wrongly:\n" + "\n".join(sorted(errors)))
    return loops


def _body(code: MachineCode, function: Function, loop: isa.Instruction) -> list[isa.Instruction]:
    """The instructions of a loop; none if it does not end behind one of them."""
    assert loop.target is not None, "every loop has one"
    body = []
    address = loop.end
    while address < min(loop.target, function.end):
        body.append(code.instruction(address))
        address = body[-1].end
    return body if address == loop.target else []


def _wrong(body: list[isa.Instruction]) -> str:
    """What is wrong with a loop, and what to do; nothing if all is well."""
    head, last = body[0], body[-1]
    if head.straddles:
        return (
            f"has a body whose first instruction, at {head.address:#010x}, crosses a 4-byte word; put a nop.n before "
            "the loop, or write an instruction before it in its other form (two bytes with .n, three without)"
        )
    for op in body:
        if op.name in _CALLS:
            return f"has a call in its body, at {op.address:#010x}, and the callee may use the only loop registers"
        if op.name in isa.LOOPS:
            return f"has another in its body, at {op.address:#010x}, and there is one set of loop registers"
    if last.name in (*isa.RETURNS, "isync", "waiti") or (last.name == "rsr" and last.immediate == LCOUNT):
        return f"ends with {last.name}, at {last.address:#010x}, which must not be last; put a nop behind it"
    return ""
