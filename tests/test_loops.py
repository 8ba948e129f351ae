"""The rules of zero-overhead loops: a program that breaks one is refused, and the build makes none that does."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import Link, run_scons
from mgbuild.errors import UserError
from mgbuild.firmware import loops
from mgbuild.firmware.machine_code import MachineCode

# As bytes, for GNU as aligns a loop, shortens what has a shorter form and refuses some of these ends. Where the call
# goes does not matter; the inner loop is around one nop.
CODE = {
    "entry a1, 32": "36 41 00",
    "nop": "f0 20 00",
    "nop.n": "3d f0",
    "madd.s f0, f1, f2": "20 01 4a",
    "callx0 a8": "c0 08 00",
    "callx4 a8": "d0 08 00",
    "callx8 a8": "e0 08 00",
    "callx12 a8": "f0 08 00",
    "call8": "a5 00 00",
    "loop a3": "76 83 02",
    "retw": "90 00 00",
    "retw.n": "1d f0",
    "isync": "00 20 00",
    "waiti 0": "00 70 00",
    "rsr a3, lcount": "30 02 03",
    "rsr a3, lbeg": "30 00 03",
}
LOOPS = {"loop": 0x82, "loopnez": 0x92, "loopgtz": 0xA2}  # the second byte, for a2


def loop_of(length: int, loop: str = "loopnez") -> str:
    """A loop instruction whose body has this many bytes."""
    return f".byte 0x76, {LOOPS[loop]}, {length - 1}"


def encoded(*instructions: str) -> str:
    """Instructions as bytes."""
    return ";".join(f".byte 0x{CODE[one].replace(' ', ', 0x')}" for one in instructions)


def looped(*body: str, before: Sequence[str] = ("nop", "nop"), loop: str = "loopnez") -> str:
    """A function with a loop; by default its body begins at a multiple of four."""
    length = sum(len(bytes.fromhex(CODE[one])) for one in body)
    return ";".join([encoded("entry a1, 32", *before), loop_of(length, loop), encoded(*body, "retw")])


def refusal(elf: Path) -> str:
    with pytest.raises(UserError) as caught:
        loops.check(elf)
    return str(caught.value)


@pytest.mark.parametrize("before", [["nop"] * 2, ["nop"]], ids=["at 1", "at 2"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_one_or_two_bytes_behind_a_word_passes(link: Link, loop: str, before: list[str]) -> None:
    assert loops.check(link(f=looped("madd.s f0, f1, f2", before=before, loop=loop))) == 1


@pytest.mark.parametrize(("before", "size"), [(["nop"] * 3, 9), (["nop.n"] * 2, 4)], ids=["at 0", "at 3"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_first_instruction_across_a_word_is_refused(link: Link, loop: str, before: list[str], size: int) -> None:
    crooked = looped("madd.s f0, f1, f2", before=before, loop=loop)
    elf = link(straight="entry a1, 32; retw", crooked=crooked)
    [start] = [one.start for one in MachineCode(elf).functions.values() if one.name == "crooked"]
    at = start + 3 + size
    words = f"crooked: the {loop} at {at:#010x} has a body whose first instruction, at {at + 3:#010x}, crosses a"
    assert words in refusal(elf)
    assert "put a nop.n before the loop" in refusal(elf)


def test_a_short_first_instruction_may_end_with_its_word(link: Link) -> None:
    assert loops.check(link(f=looped("nop.n", "nop", before=["nop.n"] * 2))) == 1


@pytest.mark.parametrize("last", ["retw", "retw.n", "isync", "waiti 0", "rsr a3, lcount"])
def test_what_may_not_be_last_is_refused(link: Link, last: str) -> None:
    name = last.split()[0]
    assert f"ends with {name}, at" in refusal(link(f=looped("nop", last)))
    assert loops.check(link(f=looped("nop", "rsr a3, lbeg"))) == 1


@pytest.mark.parametrize("call", ["callx0 a8", "callx4 a8", "callx8 a8", "callx12 a8", "call8"])
def test_a_call_in_a_loop_is_refused(link: Link, call: str) -> None:
    elf = link(f=looped("nop", call, "nop"), g="entry a1, 32; retw")
    assert "has a call in its body, at" in refusal(elf)


def test_a_loop_in_a_loop_is_refused(link: Link) -> None:
    elf = link(f=looped("nop", "nop", "nop.n", "loop a3", "nop", "nop"))
    assert "has another in its body" in refusal(elf)


@pytest.mark.parametrize("length", [1, 2, 5, 61])
def test_an_end_within_an_instruction_or_outside_is_refused(link: Link, length: int) -> None:
    elf = link(f=";".join([encoded("entry a1, 32", "nop"), loop_of(length), encoded("nop", "nop", "retw")]))
    assert "where no instruction of its function ends" in refusal(elf)


def test_a_call_on_a_way_that_leaves_the_loop_and_comes_back_is_refused(link: Link) -> None:
    source = "entry a1, 32; nop; loopnez a2, 2f; nop; bnez a3, 3f; 1:; nop; 2:; retw; 3:; callx8 a8; j 1b"
    assert "has a call in its body, at" in refusal(link(f=source))


def test_a_call_on_a_way_that_leaves_the_loop_for_good_is_allowed(link: Link) -> None:
    """GCC puts it between the loop's first and last instruction, with padding behind it that is no code."""
    source = "entry a1, 32; nop; loopnez a2, 2f; nop; beqz a3, 1f; callx8 a8; j 3f; .byte 0xff; 1:; nop; 2:; 3:; retw"
    assert loops.check(link(f=source)) == 1


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
