"""Code addresses in what a crashed firmware prints, explained: which function, which file and line."""

import re
from bisect import bisect_right
from pathlib import Path

from elftools.dwarf.die import AttributeValue
from elftools.elf.elffile import ELFFile

from mgbuild.firmware.elf import opened, symbols

PANIC, PANIC_ENDS = "Guru Meditation Error", "Backtrace:"  # what its first and its last line hold
_REGISTER = re.compile(r"\b(PC|A0) *: *0x([0-9a-f]{8})")
_FRAME = re.compile(r"0x([0-9a-f]{8}):0x[0-9a-f]{8}")
_EXECUTABLE = 0x4  # SHF_EXECINSTR


class Decoder:
    """Explains the lines of a console, one after the other, with the symbols and line numbers of a firmware."""

    def __init__(self, elf: Path) -> None:
        """Read a firmware; raises UserError when it cannot be read."""
        with opened(elf) as file:
            self._read(file)
        self._crashing = False

    def place(self, address: int) -> str | None:
        """`function at file:line` for an address of code, `function+offset` without a line, None outside code."""
        if not any(start <= address < end for start, end in self._code):
            return None
        index = bisect_right(self._functions, (address, chr(0x10FFFF))) - 1
        if index < 0:
            return None
        start, name = self._functions[index]
        index = bisect_right(self._lines, (address, chr(0x10FFFF))) - 1
        line = self._lines[index][1] if index >= 0 and self._lines[index][0] >= start else ""
        return f"{name} at {line}" if line else f"{name}+{address - start:#x}"

    def explain(self, line: str) -> list[str]:
        """Lines to print after this one: its code addresses by place, while a crash is being printed, else none."""
        if PANIC in line:
            self._crashing = True
        if not self._crashing:
            return []
        if line.startswith(PANIC_ENDS):
            self._crashing = False
            addresses = [int(text, 16) for text in _FRAME.findall(line)]
        else:
            addresses = [
                _return_address(int(text, 16)) if name == "A0" else int(text, 16)
                for name, text in _REGISTER.findall(line)
            ]
        places = [(address, self.place(address)) for address in addresses]
        return [f"  {address:#010x}: {place}" for address, place in places if place]

    def _read(self, elf: ELFFile) -> None:
        self._code = [
            (section["sh_addr"], section["sh_addr"] + section["sh_size"])
            for section in elf.iter_sections()
            if section["sh_flags"] & _EXECUTABLE
        ]
        self._functions = sorted(
            (symbol["st_value"], symbol.name) for symbol in symbols(elf) if symbol["st_info"]["type"] == "STT_FUNC"
        )
        self._lines = sorted(_line_table(elf))


def _return_address(a0: int) -> int:
    """Address of the call that a windowed return address came from: its two highest bits belong to the window."""
    return (a0 & 0x3FFFFFFF | 0x40000000) - 3


def _line_table(elf: ELFFile) -> list[tuple[int, str]]:
    """Pairs of an address and the `file:line` that begins there, or "" where a sequence ends."""
    table: dict[int, str] = {}
    if not elf.has_dwarf_info():
        return []
    dwarf = elf.get_dwarf_info()
    here = Path.cwd()
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        first = 0 if program["version"] >= 5 else 1
        folder = Path(_text(unit.get_top_DIE().attributes.get("DW_AT_comp_dir")))
        for entry in program.get_entries():
            state = entry.state
            if state is None or state.address == 0:  # dropped by the linker
                continue
            if state.end_sequence:
                table.setdefault(state.address, "")
                continue
            if state.line == 0:  # made by the compiler: belongs to the line before
                continue
            file = program["file_entry"][state.file - first]
            folders = program["include_directory"]
            index = file["dir_index"] - (0 if first == 0 else 1)
            directory = Path(folders[index].decode()) if 0 <= index < len(folders) else Path()
            path = folder / directory / file["name"].decode()
            shown = path.relative_to(here) if path.is_relative_to(here) else path
            table[state.address] = f"{shown}:{state.line}"
    return list(table.items())


def _text(attribute: AttributeValue | None) -> str:
    return attribute.value.decode() if attribute else ""
