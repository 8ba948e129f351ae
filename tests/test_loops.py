"""The rules of zero-overhead loops: a program that breaks one is refused, and the build makes none that does."""

import shutil
from pathlib import Path

import pytest
from conftest import Link, run_scons
from mgbuild.errors import UserError
from mgbuild.firmware import loops
from mgbuild.firmware.machine_code import MachineCode


def looped(*instructions: str, before: str = "nop; nop") -> str:
    """A function with a loop; by default its body begins at a multiple of four."""
    return ";".join(["entry a1, 32", before, "loopnez a2, 2f", *instructions, "2:", "retw"])


def refusal(elf: Path) -> str:
    with pytest.raises(UserError) as caught:
        loops.check(elf)
    return str(caught.value)


@pytest.mark.parametrize("before", ["nop; nop", "nop"], ids=["at 1", "at 2"])
@pytest.mark.parametrize("loop", ["loop", "loopnez", "loopgtz"])
def test_a_loop_one_or_two_bytes_behind_a_word_passes(link: Link, loop: str, before: str) -> None:
    assert loops.check(link(f=looped("madd.s f0, f1, f2", before=before).replace("loopnez", loop))) == 1


@pytest.mark.parametrize(("before", "size"), [("nop; nop; nop", 9), ("nop.n; nop.n", 4)], ids=["at 0", "at 3"])
@pytest.mark.parametrize("loop", ["loop", "loopnez", "loopgtz"])
def test_a_first_instruction_across_a_word_is_refused(link: Link, loop: str, before: str, size: int) -> None:
    crooked = looped("madd.s f0, f1, f2", before=before).replace("loopnez", loop)
    elf = link(straight="entry a1, 32; retw", crooked=crooked)
    [start] = [one.start for one in MachineCode(elf).functions.values() if one.name == "crooked"]
    at = start + 3 + size
    words = f"crooked: the {loop} at {at:#010x} has a body whose first instruction, at {at + 3:#010x}, crosses a"
    assert words in refusal(elf)
    assert "put a nop.n before the loop" in refusal(elf)


def test_a_short_first_instruction_may_end_with_its_word(link: Link) -> None:
    assert loops.check(link(f=looped("nop.n", "nop", before="nop.n; nop.n"))) == 1


@pytest.mark.parametrize("last", ["retw", "retw.n", "isync", "waiti 0", "rsr a3, lcount"])
def test_what_may_not_be_last_is_refused(link: Link, last: str) -> None:
    name = last.split()[0]
    assert f"ends with {name}, at" in refusal(link(f=looped("nop", last)))
    assert loops.check(link(f=looped("nop", "rsr a3, lbeg"))) == 1


@pytest.mark.parametrize("call", ["callx0 a8", "callx4 a8", "callx8 a8", "callx12 a8", ".byte 0xa5, 0, 0"])
def test_a_call_in_a_loop_is_refused(link: Link, call: str) -> None:
    elf = link(f=looped("nop", call, "nop"), g="entry a1, 32; retw")
    assert "has a call in its body, at" in refusal(elf)


def test_a_loop_in_a_loop_is_refused(link: Link) -> None:
    elf = link(f=looped("nop", "nop", "nop.n", "loop a3, 1f", "nop", "1:", "nop"))
    assert "has another in its body" in refusal(elf)


@pytest.mark.parametrize("distance", [0, 1, 4, 60])
def test_an_end_within_an_instruction_or_outside_is_refused(link: Link, distance: int) -> None:
    elf = link(f=f"entry a1, 32; nop; .byte 0x76, 0x92, {distance}; nop; nop; retw")
    assert "where no instruction of its function ends" in refusal(elf)


def test_a_branch_out_of_a_loop_and_back_is_allowed(link: Link) -> None:
    source = "entry a1, 32; nop; loopnez a2, 2f; nop; bnez a3, 3f; 1:; nop; 2:; retw; 3:; j 1b"
    assert loops.check(link(f=source)) == 1


def test_a_build_with_a_crooked_loop_fails_and_says_where(tmp_path: Path, root: Path) -> None:
    """The loop is given as bytes, which no assembler mends."""
    work = tmp_path / "work"
    shutil.copytree(root, work, ignore=shutil.ignore_patterns(".*", "build", "tests"))
    source = work / "src_c/kernels/xtensa/elementwise.S"
    begin = "FUNCTION(relu)\n    entry   a1, 32\n"
    crooked = f"{begin}    .byte   0xF0, 0x20, 0, 0xF0, 0x20, 0, 0xF0, 0x20, 0, 0x76, 0x92, 4, 0xF0, 0x20, 0\n"
    assert begin in source.read_text()
    source.write_text(source.read_text().replace(begin, crooked))
    result = run_scons("esp32", cwd=work)
    assert result.returncode != 0
    assert "relu: the loopnez at 0x" in result.stderr
    assert not (work / "build/esp32/firmware.bin").exists()
