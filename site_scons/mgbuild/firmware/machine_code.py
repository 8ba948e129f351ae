"""The functions of a linked program and their instructions, compiled or hand-written, read from its ELF."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mgbuild.errors import UserError
from mgbuild.firmware import isa
from mgbuild.firmware.elf import opened, symbols


@dataclass(frozen=True)
class Function:
    """A function: its name and the addresses from `start` up to `end`."""

    name: str
    start: int
    end: int

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end


class MachineCode:
    """The code of an ELF. Raises UserError when the ELF cannot be read."""

    def __init__(self, elf: Path) -> None:
        self.functions: dict[int, Function] = {}  # by the address where they begin
        self.absolute: dict[int, str] = {}  # names of absolute symbols, such as functions in ROM, by value
        self._sections: list[tuple[int, bytes]] = []
        self._objects: dict[str, range] = {}  # addresses of variables and constants
        with opened(elf) as file:
            for symbol in symbols(file):
                start, size = symbol["st_value"], symbol["st_size"]
                if symbol["st_info"]["type"] == "STT_FUNC" and size:
                    self.functions[start] = Function(symbol.name, start, start + size)
                elif symbol["st_info"]["type"] == "STT_OBJECT":
                    self._objects[symbol.name] = range(start, start + size)
                elif symbol["st_shndx"] == "SHN_ABS":
                    self.absolute[start] = symbol.name
            for section in file.iter_sections():
                if section["sh_type"] == "SHT_PROGBITS" and section["sh_addr"]:
                    self._sections.append((section["sh_addr"], section.data()))

    def functions_in(self, table: str) -> set[int]:
        """Addresses of the functions that a table of words names; raises UserError when there is no such table."""
        if table not in self._objects:
            raise UserError(f"there is no table {table}, from which functions were to be called")
        words = {self.word(address) for address in self._objects[table][::4]}
        return words & self.functions.keys()

    def word(self, address: int) -> int:
        """The 32-bit word at an address of a section."""
        return int.from_bytes(self._bytes(address, 4), "little")

    def instruction(self, address: int) -> isa.Instruction:
        """The instruction at an address; raises UserError where there is none."""
        code = self._bytes(address, 3) or self._bytes(address, 2) + b"\0"
        if len(code) < 3:
            raise UserError(f"there is no code at {address:#010x}")
        return isa.decode(code, address)

    def reachable(self, function: Function) -> Iterator[isa.Instruction]:
        """The instructions of a function that paths from its beginning reach, each once.

        What lies between them, such as padding behind a jump, need not decode.
        """
        seen: set[int] = set()
        paths = [function.start]
        while paths:
            address = paths.pop()
            if address in seen or address not in function:
                continue
            seen.add(address)
            op = self.instruction(address)
            yield op
            paths += successors(op)

    def _bytes(self, address: int, length: int) -> bytes:
        for start, data in self._sections:
            if start <= address and address + length <= start + len(data):
                return data[address - start : address - start + length]
        return b""


def successors(op: isa.Instruction) -> list[int]:
    """Addresses that may be executed after an instruction, in its function or by a jump out of it.

    Calls return, and how a loop goes round is left out.
    """
    following = [] if op.name in isa.ENDS else [op.end]
    if op.target is not None and op.name not in isa.CALLS:
        following.append(op.target)
    return following
