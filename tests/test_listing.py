"""Listings for llvm-mc: short instructions, loops in place, nothing else changed."""

import random
import subprocess
from pathlib import Path

import pytest
from conftest import Programs
from mgbuild.device.decode import Decoder
from mgbuild.errors import UserError
from mgbuild.firmware import isa, listing, loops
from mgbuild.firmware.machine_code import MachineCode
from mgbuild.plan import toolchain


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("retw", "retw.n"),
        ("nop", "nop.n"),
        ("or\ta2, a3, a3", "mov.n\ta2, a3"),
        ("mov\ta2, a3", "mov.n\ta2, a3"),
        ("add\ta2, a3, a4", "add.n\ta2, a3, a4"),
        ("addi\ta2, a3, -1", "addi.n\ta2, a3, -1"),
        ("addi\ta2, a3, 15", "addi.n\ta2, a3, 15"),
        ("movi\ta2, -32", "movi.n\ta2, -32"),
        ("movi\ta2, 95", "movi.n\ta2, 95"),
        ("l32i\ta2, a3, 60", "l32i.n\ta2, a3, 60"),
        ("s32i\ta2, a3, 0                       # 4-byte Folded Spill", "s32i.n\ta2, a3, 0"),
    ],
)
def test_short_forms(long: str, short: str) -> None:
    assert listing.finish([f"\t{long}"]) == [f"\t{short}"]


@pytest.mark.parametrize(
    "line",
    [
        *("\tor\ta2, a3, a4", "\taddi\ta2, a3, 0", "\taddi\ta2, a3, 16", "\taddi\ta2, a3, -2", "\tmovi\ta2, 96"),
        *(
            "\tmovi\ta2, -33",
            "\tmovi\ta2, board_start",
            "\tl32i\ta2, a3, 64",
            "\tsub\ta2, a3, a4",
            "\tmadd.s\tf0, f1, f2",
        ),
        *(
            "\t.loc\t0 10 0",
            "main:",
            "# %bb.0:",
            "\t.literal .LCPI0_0, 1065353216",
            '\t.asciz\t"a, b"',
            "\tentry\ta1, 32",
        ),
    ],
)
def test_lines_that_stay(line: str) -> None:
    assert listing.finish([line]) == [line]


def test_directives_for_unwinding_go_and_data_stays() -> None:
    lines = [
        "\t.cfi_startproc",
        '\t.section\t.rodata,"a",@progbits',
        "\tadd\ta2, a3, a4",
        "\t.text",
        "\tadd\ta2, a3, a4",
    ]
    assert listing.finish(lines) == [lines[1], lines[2], lines[3], "\tadd.n\ta2, a3, a4"]


def place(*before: str) -> list[str]:
    """What is made of these instructions before a loop, from a multiple of four on."""
    finished = listing.finish([f"\t{line}" for line in ("entry\ta1, 32", *before, "loop\ta2, .Lend")])
    return [line.strip() for text in finished[1:] for line in text.splitlines()][:-1]


def test_an_instruction_before_a_loop_stays_long_where_that_places_it() -> None:
    assert place() == ["nop.n"]  # at 3, and nothing that may grow
    assert place("sub\ta2, a3, a4") == ["sub\ta2, a3, a4"]  # at 2
    assert place("add\ta2, a3, a4") == ["add.n\ta2, a3, a4"]  # at 1
    assert place("add\ta2, a3, a4", "nop", "sub\ta2, a3, a4") == ["add.n\ta2, a3, a4", "nop.n", "sub\ta2, a3, a4"]
    assert place("sub\ta2, a3, a4", "nop") == ["sub\ta2, a3, a4", "nop"]  # at 0 with its short form
    assert place("nop", "nop", "nop", "nop") == ["nop.n", "nop.n", "nop", "nop"]  # at 3


def test_a_loop_may_make_room_for_the_next() -> None:
    """The first lies at 1 with a short form before it, at 2 with the long one; nothing between them may grow."""
    first = ["\tentry\ta1, 32", "\tadd\ta2, a3, a4", "\tloop\ta2, .La"]
    between = [f"\tmadd.s\tf{n}, f1, f2" for n in range(4)]
    far = [*first, *between, "\tloop\ta3, .Lb"]
    assert listing.finish(far) == far  # 15 bytes on, the second is at 1 then
    near = [*first, *between[:2], "\tloop\ta3, .Lb"]
    assert listing.finish(near) == [near[0], "\tadd.n\ta2, a3, a4", *near[2:]]  # 9 bytes on, at 2


def random_function(rng: random.Random, number: int) -> list[str]:
    lines = [f'\t.section\t.text.f{number},"ax",@progbits', "\t.balign\t4", f"\t.global\tf{number}"]
    lines += [f"\t.type\tf{number},@function", f"f{number}:", "\tentry\ta1, 32"]
    choice = ["add\ta2, a3, a4", "mov.n\ta2, a3", "sub\ta2, a3, a4", "madd.s\tf0, f1, f2", "l32i\ta2, a3, 8", "nop"]
    for loop in range(rng.randrange(1, 5)):
        lines += [f"\t{rng.choice(choice)}" for _ in range(rng.randrange(6))]
        lines.append(f"\tloopnez\ta2, .L{number}_{loop}")
        lines += [f"\t{rng.choice(choice)}" for _ in range(rng.randrange(1, 12))]
        lines.append(f".L{number}_{loop}:")
    return [*lines, "\tretw", f"\t.size\tf{number}, . - f{number}"]


def test_random_loops_are_placed_and_nothing_else_changes(tmp_path: Path) -> None:
    try:
        llvm = toolchain.find_xtensa("llvm")
    except UserError as error:
        pytest.skip(str(error))
    rng = random.Random(7)
    lines = [line for number in range(200) for line in random_function(rng, number)]

    def names(text: list[str], stem: str) -> list[str]:
        source, part, elf = (tmp_path / f"{stem}.{suffix}" for suffix in ("s", "o", "elf"))
        source.write_text("\n".join(text) + "\n")
        subprocess.run([*llvm.assemble, "-o", part, source], check=True)
        words = [*llvm.link, "--no-gc-sections", "-e", "f0", "-T", "linker/sim.ld", "-o", elf, part]
        subprocess.run(words, check=True)
        if stem == "finished":
            assert loops.check(elf) > 300
        code = MachineCode(elf)
        ops = [op for function in code.functions.values() for op in code.reachable(function)]
        moves = {op.address: "mov" for op in ops if op.name == "or" and op.registers[1] == op.registers[2]}
        return [moves.get(op.address, op.name.removesuffix(".n")) for op in ops]

    before, after = names(lines, "written"), names(listing.finish(lines), "finished")
    nops = after.count("nop") - before.count("nop")
    assert [name for name in after if name != "nop"] == [name for name in before if name != "nop"]
    assert 0 <= nops < 0.2 * sum(name in isa.LOOPS for name in after)


def test_lines_of_the_source_replace_what_llvm_mc_writes_for_debuggers() -> None:
    expanded = [
        *(
            "",
            '\t.file\t1 "src_c/kernels/xtensa" "softmax.S"',
            ".Ltmp0:",
            "\t.loc\t1 48 0                          # :48:0",
        ),
        *("\tentry\ta1, 32", '\t.section\t.debug_info,"",@progbits', "\t.long\t.Ltmp5"),
    ]
    assert listing.without_macros(expanded) == [
        ".Ltmp0:",
        '# 48 "src_c/kernels/xtensa/softmax.S"',
        "\tentry\ta1, 32",
        "",
    ]


def test_assembly_keeps_its_lines_in_the_firmware(programs: Programs, root: Path) -> None:
    """Every instruction of a kernel is found at the line that it was written in, or whose macro made it."""
    source = (root / "src_c/kernels/xtensa/softmax.S").read_text().splitlines()
    elf = programs.esp32() / "firmware.elf"
    code, decoder = MachineCode(elf), Decoder(elf)
    [softmax] = [function for function in code.functions.values() if function.name == "softmax"]
    lines = [int(decoder.place(op.address).rsplit("softmax.S:", 1)[1]) for op in code.reachable(softmax)]
    assert len(set(lines)) > 80
    for op, line in zip(code.reachable(softmax), lines, strict=True):
        written = source[line - 1].split()[0]
        assert written in (op.name, op.name.removesuffix(".n"), "mov", "reduce", ".rept", "const.s", "msub.s", "madd.s")
