"""Speed, in counts that do not depend on the machine: the line that a change may not cross."""

from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Programs
from mgbuild import bench, lx6


@pytest.fixture(scope="module")
def counts(programs: Programs) -> dict[str, Any]:
    """Counts of the assembly firmware over its whole run."""
    return bench.core(programs.profile_plugin(), *programs.sim())


def test_no_count_exceeds_its_ceiling(counts: dict[str, Any]) -> None:
    assert bench.excesses(counts, bench.ceilings(ROOT / "tests/bench_ceilings.toml")) == []


def test_a_count_over_its_ceiling_is_named() -> None:
    limits = {"tolerance": 0.02, "instructions_per_step": 1000.0}
    assert bench.excesses({"instructions_per_step": 1019.0}, limits) == []
    [sentence] = bench.excesses({"instructions_per_step": 1021.0}, limits)
    assert "instructions_per_step" in sentence and "2 %" in sentence


def test_the_promises_hold(counts: dict[str, Any]) -> None:
    assert counts["instructions_per_step"] <= 260_000
    assert counts["cycles_per_step_model"] <= 290_000
    assert all(count <= 1.8 for count in counts["instructions_per_mac_by_kernel"].values())


def test_phases_and_kernels_add_up_to_the_step(counts: dict[str, Any]) -> None:
    assert sum(counts["phases"].values()) == pytest.approx(counts["instructions_per_step"], rel=1e-12)
    by_kernel = sum(kernel["instructions"] for kernel in counts["kernels"].values())
    assert by_kernel == pytest.approx(counts["instructions_per_step"], rel=1e-12)
    assert counts["macs_per_step"] == pytest.approx(78_279, abs=1)


def test_counts_are_the_same_in_every_run(counts: dict[str, Any], programs: Programs) -> None:
    assert bench.core(programs.profile_plugin(), *programs.sim()) == counts


def code(*lines: str) -> list[lx6.Instruction]:
    """Instructions from assembly text, three bytes each from address 0."""
    split = [line.split(None, 1) for line in lines]
    return [
        lx6.Instruction(3 * i, 3, words[0], tuple(lx6.REGISTER.findall(words[1] if len(words) > 1 else "")))
        for i, words in enumerate(split)
    ]


def steady(lines: list[str]) -> int:
    """Cycles of one turn of a hardware loop."""
    body = code(*lines)
    return lx6.cycles(body * 3, body)


@pytest.mark.parametrize(
    ("cycles", "lines"),
    [
        (4, ["madd.s f0, f1, f2"]),  # a chain waits for itself
        (4, ["lsip f1, a2, 4", "lsip f2, a3, 4", "madd.s f0, f1, f2"]),  # dsps_dotprod_f32: 4 for an element
        (5, ["lsx f1, a2, a4", "lsx f2, a3, a5", "madd.s f0, f1, f2", "add a2, a2, a4", "add a3, a3, a5"]),
        (7, ["lsip f1, a2, 4", "lsi f2, a3, 0", "madd.s f2, f1, f3", "ssip f2, a3, 4"]),  # axpy: the store waits
        (3, ["lsi f1, a2, 0", "add.s f2, f1, f3"]),  # one bubble from load to add
        (4, ["l32i a8, a2, 0", "add a9, a8, a8"]),  # two bubbles from load to use
        (2, ["mull a8, a9, a10", "addi a11, a12, 1"]),
    ],
)
def test_the_model_gives_published_and_textbook_schedules(cycles: int, lines: list[str]) -> None:
    assert steady(lines) == cycles


def test_a_4x3_tile_step_takes_19_cycles() -> None:
    lines = ["lsip f13, a8, 4", "lsip f14, a9, 4", "lsip f12, a7, 4"]
    for row, pointer in enumerate((4, 5, 6, 3)):
        lines.append(f"lsip f15, a{pointer}, 4")
        lines += [f"madd.s f{3 * row + column}, f15, f{12 + column}" for column in range(3)]
    assert steady(lines) == 19


def test_jumps_cost_three_cycles_and_one_more_into_a_straddling_instruction() -> None:
    branch = code("bnez a2, 0")[0]
    assert lx6.jump_cycles(branch, lx6.Instruction(8, 3, "add", ("a2", "a2", "a2"))) == 3
    assert lx6.jump_cycles(branch, lx6.Instruction(10, 3, "add", ("a2", "a2", "a2"))) == 4
    assert lx6.jump_cycles(code("madd.s f0, f1, f2")[0], branch) == 0  # the end of a hardware loop


def test_the_disassembly_covers_the_firmware(programs: Programs) -> None:
    elf: Path = programs.sim()[0]
    names = {instruction.name for instruction in lx6.disassemble(elf).values()}
    assert {"madd.s", "lsip", "loopnez", "entry", "retw"} <= names
