"""The decoder of machine code, against the disassembler that comes with the toolchain."""

import random
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Programs
from cross import Cross
from mgbuild.errors import UserError
from mgbuild.firmware import isa, loops
from mgbuild.firmware.machine_code import MachineCode

REGISTER = re.compile(r"\b[abf]\d+\b")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+((?:[0-9a-f]{2} ?)+)\s*\t([a-z][\w.]*)\s*(.*)$")
SPECIAL_REGISTER = re.compile(r"^([rwx]sr|[rw]ur)\..*")  # GNU objdump makes its name a part of the mnemonic
# llvm-objdump does not know these, or prints nothing where a special register has no name.
UNPRINTED = {"rfue", "simcall", "ssa8b", "rer", "wer", "rsr", "wsr", "xsr", "rur", "wur", "l32ai", "s32ri"}
CONTROL = (*isa.CALLS, *isa.LOOPS, "j")


@dataclass(frozen=True)
class Printed:
    """An instruction as a disassembler prints it."""

    name: str
    size: int
    registers: tuple[str, ...]
    target: int | None


def of(op: isa.Instruction) -> Printed:
    """What a disassembler should print of it."""
    return Printed(op.name, op.size, op.registers, op.target)


@pytest.fixture(scope="module")
def disassemble() -> Callable[[Path], dict[int, Printed]]:
    """Function from an ELF to its instructions by address."""
    llvm, gnu = (shutil.which(name) for name in ("llvm-objdump-22", "xtensa-esp32-elf-objdump"))
    if not llvm and not gnu:
        pytest.skip("no disassembler for the LX6 here")
    command = [llvm, "-d", "--mcpu=esp32"] if llvm else [gnu, "-d"]

    def run(elf: Path) -> dict[int, Printed]:
        text = subprocess.run([*command, elf], capture_output=True, text=True, check=True).stdout
        found = {}
        for line in filter(None, map(LINE.match, text.splitlines())):
            name = SPECIAL_REGISTER.sub(r"\1", line[3])
            operands = line[4].split("<")[0].strip()
            last = re.search(r"(?:^|[\s,])(?:0x)?([0-9a-f]+)$", operands)
            jumps = name in CONTROL or re.match("b(?!reak)", name)
            target = int(last[1], 16) % 2**32 if last and jumps else None
            size = len(line[2].replace(" ", "")) // 2
            found[int(line[1], 16)] = Printed(name, size, tuple(REGISTER.findall(operands)), target)
        return found

    return run


@pytest.mark.parametrize("kernels", ["asm", "plain"])
@pytest.mark.parametrize("program", ["esp32/firmware.elf", "sim/firmware.elf", "sim/kernel_runner.elf"])
def test_every_instruction_of_a_firmware(
    kernels: str, program: str, programs: Programs, disassemble: Callable[[Path], dict[int, Printed]]
) -> None:
    elf = programs.product(program, kernels=kernels)
    code, printed = MachineCode(elf), disassemble(elf)
    ops = [op for function in code.functions.values() for op in code.reachable(function)]
    decoded = {op.address: of(op) for op in ops if op.address in printed or op.name not in UNPRINTED}
    assert decoded == {address: printed.get(address) for address in decoded}
    assert len(decoded) > 1000
    inside = [printed[address] for address in printed if any(address in one for one in code.functions.values())]
    assert loops.check(elf) == sum(one.name in isa.LOOPS for one in inside)
    assert loops.check(elf) > (60 if kernels == "asm" and "firmware" in program else 0)


def test_every_row_of_the_table_and_random_words(
    tmp_path: Path, disassemble: Callable[[Path], dict[int, Printed]], cross: Cross
) -> None:
    """Words that fit each row, and any: decoded as the disassembler does, or known to neither."""
    rng = random.Random(1)
    words = [rng.getrandbits(24) for _ in range(4000)]
    words += [rng.getrandbits(24) & ~row.mask | row.match for row in isa.ROWS for _ in range(20)]
    source, part = tmp_path / "words.s", tmp_path / "words.o"
    # each with a symbol, behind which the disassembler begins anew
    lines = [f".type w{n}, @function\nw{n}: .4byte {word}\n" for n, word in enumerate(words)]
    source.write_text('.section .text, "ax"\n' + "".join(lines))
    cross.object(source, part)
    printed = disassemble(part)
    confirmed = set()
    for number, word in enumerate(words):
        seen = printed.get(4 * number)
        try:
            op = isa.decode(word.to_bytes(3, "little"), 4 * number)
        except UserError:
            assert seen is None or seen.name.startswith("mul"), hex(word)  # MAC16 is not in the table
            continue
        if seen is None:
            assert op.name in UNPRINTED, hex(word)
            continue
        assert of(op) == seen, hex(word)
        confirmed.add(op.name)
    assert {row.name for row in isa.ROWS} - confirmed <= UNPRINTED


def test_registers_that_an_instruction_sets() -> None:
    def results(*code: int) -> tuple[str, ...]:
        return isa.decode(bytes(code), 0).results

    assert results(0x28, 0x41, 0) == ("a2",)  # l32i.n a2, a1, 16
    assert results(0x29, 0x41, 0) == ()  # s32i.n a2, a1, 16
    assert results(0x03, 0x82, 0x01) == ("f0", "a2")  # lsip f0, a2, 4
    assert results(0x36, 0x41, 0x00) == ("a1",)  # entry a1, 32
    assert results(0x22, 0xE3, 0x00) == ("a2",)  # s32c1i a2, a3, 0
    assert results(0x80, 0x40, 0x4A) == ("f4",)  # madd.s f4, f0, f8


def test_what_is_no_instruction_is_named_with_its_address() -> None:
    with pytest.raises(UserError, match="bytes ff ff ff at 0x40080010"):
        isa.decode(b"\xff\xff\xff", 0x40080010)
