"""The decoder of machine code, against the disassembler that comes with the toolchain."""

import random
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Programs
from cross import Cross
from mgbuild.errors import UserError
from mgbuild.firmware import isa, loops
from mgbuild.firmware.elf import opened
from mgbuild.firmware.machine_code import MachineCode
from mgbuild.plan import toolchain

REGISTER = re.compile(r"\b[abf]\d+\b")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+((?:[0-9a-f]{2} ?)+)\s*\t([a-z][\w.]*)\s*(.*)$")
SPECIAL_REGISTER = re.compile(r"^([rwx]sr|[rw]ur)\..*")  # GNU objdump makes its name a part of the mnemonic
# Not printed by either: a special or user register that has no name, and the return of an older exception option.
UNPRINTED = {"rsr", "wsr", "xsr", "rur", "wur", "rfue"}
UNKNOWN_TO_LLVM = {"simcall", "ssa8b", "rer", "wer", "l32ai", "s32ri"}
# GNU objdump takes more for these than they are: mask and bits. It prints lsi for what it does not know.
TAKEN_FOR_MORE = {"lsi": (0xF00F, 0x0003), "ret.n": (0xFFFF, 0xF00D), "retw.n": (0xFFFF, 0xF01D)}
# The table leaves out MAC16, double precision, caches and their memories, and a store that newer cores have.
LEFT_OUT = re.compile(
    r"u?mul[as]?\.(aa|ad|da|dd)\b|lddec|ldinc|w?f64|s32nb|[di](h|i|ii|h[ui]|i[ui]|pf|pf[rwo]+|hwbi?|iwbi?)\b"
)
# Bits that are zero because groups of boolean registers begin at multiples of their size.
FIRST_OF_GROUP = {"any4": 0x300, "all4": 0x300, "any8": 0x700, "all8": 0x700}
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


@dataclass(frozen=True)
class Disassembler:
    """The disassembler of a toolchain, and what it does not print though it is an instruction."""

    objdump: tuple[str | Path, ...]
    objcopy: Path
    unprinted: set[str]

    def __call__(self, elf: Path) -> dict[int, Printed]:
        """The instructions of an ELF by address."""
        text = subprocess.run([*self.objdump, elf], capture_output=True, text=True, check=True).stdout
        found = {}
        for line in filter(None, map(LINE.match, text.splitlines())):
            name = SPECIAL_REGISTER.sub(r"\1", line[3])
            groups = line[2].split()  # one of GNU's, the bytes in their order of LLVM's
            mask, bits = TAKEN_FOR_MORE.get(name, (0, 0))
            if int("".join(reversed(groups)), 16) & mask != bits:
                continue
            operands, target = line[4].split("<")[0].strip(), None
            if name in CONTROL or re.match("b(?!reak)", name):
                operands, _, number = operands.rpartition(" ")
                target = int(number, 16) % 2**32
            elif name == "l32r":  # where its literal is, which each prints in its own way
                operands = operands.split(",")[0]
            elif name in FIRST_OF_GROUP:
                operands = re.sub(r"(:b\d+)+", "", operands)
            size = sum(map(len, groups)) // 2
            found[int(line[1], 16)] = Printed(name, size, tuple(REGISTER.findall(operands)), target)
        return found

    def with_symbols(self, elf: Path, addresses: Iterable[int], copy: Path) -> Path:
        """A copy of an ELF with a symbol at each address, where the disassembler begins anew: it takes the bytes that
        lie behind a jump for code, and may read on in the middle of an instruction."""
        with opened(elf) as file:
            sections = [(one.name, one["sh_addr"], one["sh_size"]) for one in file.iter_sections() if one["sh_addr"]]
        words: list[str | Path] = []
        for address in addresses:
            [(name, start)] = [(name, start) for name, start, size in sections if 0 <= address - start < size]
            words += ["--add-symbol", f"at_{address:x}={name}:{address - start:#x},function,local"]
        subprocess.run([self.objcopy, *words, elf, copy], check=True)
        return copy


@pytest.fixture(scope="module")
def disassembler() -> Disassembler:
    """That of the toolchain which is here, beside its compiler or assembler."""
    try:
        tools = toolchain.find_xtensa()
    except UserError as error:
        pytest.skip(str(error))
    if isinstance(tools, toolchain.EspIdf):
        objdump, objcopy = (Path(tools.gcc).with_name(f"xtensa-esp32-elf-{name}") for name in ("objdump", "objcopy"))
        return Disassembler((objdump, "-d"), objcopy, UNPRINTED)
    assembler = Path(tools.assembler)
    objdump, objcopy = (assembler.with_name(assembler.name.replace("mc", name)) for name in ("objdump", "objcopy"))
    return Disassembler((objdump, "-d", "--mcpu=esp32"), objcopy, UNPRINTED | UNKNOWN_TO_LLVM)


@pytest.mark.parametrize("kernels", ["asm", "plain"])
@pytest.mark.parametrize("program", ["esp32/firmware.elf", "sim/firmware.elf", "sim/kernel_runner.elf"])
def test_every_instruction_of_a_firmware(
    kernels: str, program: str, programs: Programs, disassembler: Disassembler, tmp_path: Path
) -> None:
    elf = programs.product(program, kernels=kernels)
    code = MachineCode(elf)
    ops = [op for function in code.functions.values() for op in code.reachable(function)]
    begins = {op.address for op in ops} - {op.end for op in ops}
    printed = disassembler(disassembler.with_symbols(elf, sorted(begins), tmp_path / "labelled.elf"))
    decoded = {op.address: of(op) for op in ops if op.address in printed or op.name not in disassembler.unprinted}
    assert decoded == {address: printed.get(address) for address in decoded}
    assert len(decoded) > 1000
    inside = [printed[address] for address in printed if any(address in one for one in code.functions.values())]
    assert loops.check(elf) == sum(one.name in isa.LOOPS for one in inside)
    assert loops.check(elf) > (60 if kernels == "asm" and "firmware" in program else 0)


def test_every_row_of_the_table_and_random_words(tmp_path: Path, disassembler: Disassembler, cross: Cross) -> None:
    """Words that fit each row, and any: decoded as the disassembler does, or known to neither."""
    rng = random.Random(1)
    words = [rng.getrandbits(24) for _ in range(4000)]
    for row in isa.ROWS:
        free = ~row.mask & ~FIRST_OF_GROUP.get(row.name, 0)
        words += [rng.getrandbits(24) & free | row.match for _ in range(20)]
    source, part = tmp_path / "words.s", tmp_path / "words.o"
    # each with a symbol, behind which the disassembler begins anew
    lines = [f".type w{n}, @function\nw{n}: .4byte {word}\n" for n, word in enumerate(words)]
    source.write_text('.section .text, "ax"\n' + "".join(lines))
    cross.object(source, part)
    printed = disassembler(part)
    confirmed = set()
    for number, word in enumerate(words):
        seen = printed.get(4 * number)
        try:
            op = isa.decode(word.to_bytes(3, "little"), 4 * number)
        except UserError:
            assert seen is None or LEFT_OUT.match(seen.name), hex(word)
            continue
        if seen is None:
            assert op.name in disassembler.unprinted, hex(word)
            continue
        assert of(op) == seen, hex(word)
        confirmed.add(op.name)
    assert {row.name for row in isa.ROWS} - confirmed <= disassembler.unprinted


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
