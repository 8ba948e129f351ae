"""The model of the LX6 pipeline, on loops whose cycles are published or follow from what is published of the LX6."""

import re

import pytest
from conftest import Programs
from mgbuild.emulated import lx6
from mgbuild.errors import UserError
from mgbuild.firmware import isa
from mgbuild.firmware.machine_code import MachineCode


def code(*lines: str, start: int = 0, loop_end: int = 0) -> lx6.Run:
    """Instructions from assembly text, immediates left out but for a loop's, whose body ends at `loop_end`."""
    found: list[isa.Instruction] = []
    for line in lines:
        name, _, operands = line.partition(" ")
        [row] = [row for row in isa.ROWS if row.name == name]
        address = found[-1].end if found else start
        word = row.match
        for operand, register in zip(row.operands, re.findall(r"[abf](\d+)", operands), strict=True):
            word |= int(register) << row.places[operand[-1]][0]
        if name in isa.LOOPS:
            word |= (loop_end - address - 4) << row.places["i"][0]
        found.append(isa.decode(word.to_bytes(3, "little"), address))
    return tuple(found)


def sequence(*runs: lx6.Run) -> int:
    """Cycles of runs that follow each other, with the jumps between them."""
    cycles, state = 0, lx6.IDLE
    for index, run in enumerate(runs):
        lost = lx6.jump_cycles(runs[index - 1][-1], run[0]) if index else 0
        taken, state = lx6.execute(run, lx6.pause(state, lost))
        cycles += lost + taken
    return cycles


def turn(*lines: str) -> int:
    """Cycles of one more turn of a hardware loop."""
    body = code(*lines)
    return sequence(body, body, body) - sequence(body, body)


@pytest.mark.parametrize(
    ("cycles", "lines"),
    [
        (4, ["madd.s f0, f1, f2"]),  # a chain waits for itself
        (4, ["lsip f1, a2, 4", "lsip f2, a3, 4", "madd.s f0, f1, f2"]),  # published: dsps_dotprod_f32
        # published: dsps_dotprode_f32
        (5, ["lsx f1, a2, a4", "lsx f2, a3, a5", "madd.s f0, f1, f2", "add a2, a2, a4", "add a3, a3, a5"]),
        (6, ["mul.s f0, f1, f2"] * 6),  # multiplications that do not wait for each other
        (7, ["lsip f1, a2, 4", "lsi f2, a3, 0", "madd.s f2, f1, f3", "ssip f2, a3, 4"]),  # the store waits
        (2, ["lsi f1, a2, 0", "mul.s f2, f1, f3"]),
        (3, ["lsi f1, a2, 0", "add.s f2, f1, f3"]),
        (3, ["mov.s f1, f4", "mul.s f2, f1, f3"]),
        (4, ["l32i a8, a2, 0", "add a9, a8, a8"]),
        (4, ["l32r a8", "add a9, a8, a8"]),
        (3, ["mull a8, a9, a10", "add a11, a8, a8"]),
        (2, ["mull a8, a9, a10", "addi a11, a12, 1"]),
        (2, ["add a8, a9, a10", "add a8, a8, a8"]),
        (2, ["lsip f1, a2, 4", "lsi f2, a2, 0"]),  # a moved base may be used at once
        (3, ["l32i a8, a2, 0", "s32i a8, a3, 0"]),  # an integer store takes its data late
        (5, ["madd.s f0, f1, f2", "ssi f0, a2, 0"]),
    ],
)
def test_a_turn_of_a_loop_takes(cycles: int, lines: list[str]) -> None:
    assert turn(*lines) == cycles


def test_a_4x3_tile_step_takes_19_cycles_and_no_stall() -> None:
    lines = ["lsip f13, a8, 4", "lsip f14, a9, 4", "lsip f12, a7, 4"]
    for row, pointer in enumerate((4, 5, 6, 3)):
        lines.append(f"lsip f15, a{pointer}, 4")
        lines += [f"madd.s f{3 * row + column}, f15, f{12 + column}" for column in range(3)]
    assert turn(*lines) == len(lines) == 19


def test_an_untiled_product_takes_as_long_as_measured_for_dotprod() -> None:
    # 4 cycles for an element after the first: the sum of a 16-long chain
    body = ("lsip f1, a2, 4", "lsip f2, a3, 4", "madd.s f0, f1, f2")
    first = code("loopnez a4", *body, loop_end=12)
    again = code(*body, start=3)
    assert sequence(first, *[again] * 15) == 1 + 1 + 3 + 15 * 4


def test_a_loop_costs_a_cycle_only_if_it_repeats() -> None:
    body = ("addi a2, a2, 1", "addi a3, a3, 1")
    assert sequence(code("loop a4", *body, "nop", loop_end=9)) == 1 + 2 + 1
    assert sequence(code("loop a4", *body, loop_end=9), code(*body, "nop", start=3)) == 1 + 1 + 2 + 2 + 1


def test_a_loop_of_no_turns_costs_what_a_jump_does() -> None:
    assert sequence(code("loopnez a4", loop_end=12), code("nop", start=12)) == 1 + 3 + 1


def test_add_addi_branch_takes_six_cycles() -> None:
    body = code("add a2, a2, a3", "addi a4, a4, 1", "bne a4, a5", start=8)
    assert sequence(body, body, body) - sequence(body, body) == 6


def test_a_jump_to_an_instruction_that_crosses_a_word_costs_one_more() -> None:
    [branch] = code("bnez a2")
    assert lx6.jump_cycles(branch, code("nop", start=8)[0]) == 3
    assert lx6.jump_cycles(branch, code("nop", start=9)[0]) == 3
    assert lx6.jump_cycles(branch, code("nop", start=10)[0]) == 4


def test_a_call_costs_nine_cycles_beyond_its_three_instructions() -> None:
    caller, callee, back = code("call8"), code("entry a1", "retw", start=16), code("nop", start=32)
    assert sequence(caller, callee, back) == 12 + 1


def test_a_branch_not_taken_costs_nothing() -> None:
    assert sequence(code("bnez a2", "nop", "beq a2, a3", "nop")) == 4


def test_lost_cycles_hide_a_latency() -> None:
    load, use = code("l32i a8, a2, 0", "j"), code("add a9, a8, a8", start=16)
    assert sequence(load, use) == 2 + 3 + 1


def test_a_run_is_what_lies_between_two_addresses(programs: Programs) -> None:
    elf = programs.sim()[0]
    [function] = [one for one in MachineCode(elf).functions.values() if one.name == "matmul_nt"]
    code = lx6.Code(elf)
    first, second = code.run(function.start, function.start + 3)
    assert (first.name, first.end, second.address) == ("entry", second.address, function.start + 3)
    assert code.run(function.start, function.start) == (first,)


def test_an_address_without_instructions_is_named(programs: Programs) -> None:
    with pytest.raises(UserError, match="0xffff0000"):
        lx6.Code(programs.sim()[0])[0xFFFF0000]
