"""The command check on machines that are broken: it must name what is wrong, and say that something is."""

import re
import struct
from pathlib import Path

import pytest
from conftest import ROOT, Programs
from console import Answer, altered, answers, session
from kernels import KERNELS
from mgbuild.emulated import emulator
from mgbuild.firmware.elf import opened

RETURN = bytes.fromhex("1df0")  # retw.n
ENTRY_BYTES = 3

# A model that does not fit, so that nothing but the check runs the kernel that is broken; and one that does.
NO_MODEL = {"n_embd": 512, "n_layer": 64, "console": "yes"}
SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8, "steps": 3, "samples": 1, "console": "yes"}


def placed(elf: Path, name: str) -> tuple[int, int]:
    """Where in an ELF file the bytes of a symbol begin, and how many there are."""
    with opened(elf) as file:
        (symbol,) = file.get_section_by_name(".symtab").get_symbol_by_name(name)
        section = file.get_section(symbol["st_shndx"])
        return section["sh_offset"] + symbol["st_value"] - section["sh_addr"], symbol["st_size"]


def check_on_core(programs: Programs, folder: Path, patches: dict[int, bytes], **chosen: object) -> Answer:
    """The answer of an emulated core whose program differs in these bytes."""
    elf, dataset = programs.sim(**chosen)
    content = bytearray(elf.read_bytes())
    for offset, replacement in patches.items():
        assert content[offset : offset + len(replacement)] != replacement
        content[offset : offset + len(replacement)] = replacement
    broken = folder / "broken.elf"
    broken.write_bytes(content)
    (found,) = answers(emulator.capture(broken, dataset, 120, typed="check\n").stdout)[1]
    return found


def wrong(answer: Answer) -> list[str]:
    """What is said to be wrong; the verdict agrees."""
    named = [line.removeprefix("WRONG: ") for line in answer.lines if line.startswith("WRONG: ")]
    count = sum(re.match("right|WRONG|skipped", line) is not None for line in answer.lines)
    verdict = f"WRONG: {len(named)} of {count} checks; what is computed here cannot be trusted" if named else ""
    assert answer.error == verdict
    return named


@pytest.mark.parametrize("chosen", [NO_MODEL, SMALL], ids=["no model", "a model"])
def test_nothing_is_wrong_with_a_core_that_works(programs: Programs, tmp_path: Path, chosen: dict) -> None:
    found = check_on_core(programs, tmp_path, {}, **chosen)
    assert wrong(found) == []
    gradients = 9 if chosen is SMALL else 0
    assert found.lines[-1] == f"{1 + 4 + len(KERNELS) + gradients + 1} checks, all right"


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_that_does_nothing_is_named(programs: Programs, tmp_path: Path, kernel: str) -> None:
    offset, _ = placed(programs.sim(**NO_MODEL)[0], kernel)
    assert wrong(check_on_core(programs, tmp_path, {offset + ENTRY_BYTES: RETURN}, **NO_MODEL)) == [f"kernel {kernel}"]


def test_gradients_that_a_broken_kernel_spoils_are_named(programs: Programs, tmp_path: Path) -> None:
    """The product that makes most gradients of weights."""
    offset, _ = placed(programs.sim(**SMALL)[0], "matmul_tn")
    found = wrong(check_on_core(programs, tmp_path, {offset + ENTRY_BYTES: RETURN}, **SMALL))
    assert found[0] == "kernel matmul_tn"
    assert {"gradient of lm_head", "gradient of layer0.attn_wv", "gradient of layer0.mlp_fc1"} <= {*found}


@pytest.mark.parametrize(
    ("table", "entry", "named"),
    [
        ("golden", 0, "function exp"),
        ("golden", 12 + 5, "function log"),
        ("golden", 24 + 11, "function sqrt"),
        ("golden", 36 + 3, "function reciprocal"),
    ],
)
def test_a_golden_value_that_differs_in_one_bit_is_named(
    programs: Programs, tmp_path: Path, table: str, entry: int, named: str
) -> None:
    elf = programs.sim(**NO_MODEL)[0]
    offset, size = placed(elf, table)
    assert size == 4 * 12 * 2 * 4
    at = offset + 8 * entry + 4
    argument, value = struct.unpack_from("<II", elf.read_bytes(), at - 4)
    found = check_on_core(programs, tmp_path, {at: struct.pack("<I", value ^ 1)}, **NO_MODEL)
    assert wrong(found) == [named]
    assert f"  of {argument:08x}: {value:08x} instead of {value ^ 1:08x}" in found.lines


def test_golden_draws_that_differ_are_named(programs: Programs, tmp_path: Path) -> None:
    offset, _ = placed(programs.sim(**NO_MODEL)[0], "golden_normals")
    found = check_on_core(programs, tmp_path, {offset + 8: b"\0"}, **NO_MODEL)
    assert wrong(found) == ["random numbers"]


# Memory for the program on this machine. The second bank shows the same pages twice: a wire of its address is missing.
FAULTY_MEMORY = """
uint32_t board_memory(uint32_t bank, void **start) {
    static uint32_t memory[100000];
    const uint32_t half = 65536;
    *start = memory;
    if (bank == 1) {
        const int file = memfd_create("bank", 0);
        uint8_t *first = mmap(NULL, 2 * half, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (ftruncate(file, half) != 0) abort();
        mmap(first, half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
        mmap(first + half, half, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
        *start = first;
    }
    return bank == 0 ? sizeof memory : bank == 1 ? 2 * half : 0;
}
"""


def test_a_bank_whose_address_has_a_fault_is_named(programs: Programs, tmp_path: Path) -> None:
    board = (ROOT / "src_c/board/host/board.c").read_text()
    assert "uint32_t board_memory(" in board
    faulty = board.replace("board_memory(", "usual_memory(") + FAULTY_MEMORY
    program = altered(programs, tmp_path, {"board/host/board.c": faulty}, "-D_GNU_SOURCE", **SMALL)
    (found,) = session(program, "check")
    assert wrong(found) == ["memory bank 2"]
    assert "right: memory bank 1" in found.lines
    assert re.fullmatch(r"  at 0x[0-9a-f]{8}: ffffffff instead of 00000000", found.lines[-2])


def test_what_needs_memory_that_is_not_free_is_skipped_and_counted(programs: Programs, tmp_path: Path) -> None:
    """A model that fills the emulated core's memory to the last few thousand bytes."""
    chosen = {"n_embd": 168, "n_head": 4, "n_layer": 7, "block_size": 33, "steps": 1, "samples": 1, "console": "yes"}
    found = check_on_core(programs, tmp_path, {}, **chosen)
    skipped = sum(line.startswith("skipped: gradient of ") for line in found.lines)
    assert wrong(found) == []
    assert skipped == 3 + 6 * 7
    assert found.lines[-1].endswith(f"; {skipped} skipped: a smaller model leaves the memory they need")
