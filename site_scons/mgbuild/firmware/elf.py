"""What the build reads from ELF files by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Symbol, SymbolTableSection

from mgbuild.errors import UserError


@contextmanager
def opened(elf: Path) -> Iterator[ELFFile]:
    """An ELF for reading; raises UserError, then or while it is read, when it cannot be."""
    try:
        with elf.open("rb") as file:
            yield ELFFile(file)
    except OSError as error:
        raise UserError(f"cannot read {elf}: {error.strerror}") from None
    except ELFError as error:
        raise UserError(f"{elf} is not an ELF file: {error}") from None


def symbols(file: ELFFile) -> Iterator[Symbol]:
    """The symbols of an opened ELF; none when they were stripped."""
    table = file.get_section_by_name(".symtab")
    return table.iter_symbols() if isinstance(table, SymbolTableSection) else iter(())


def addresses(elf: Path) -> dict[str, int]:
    """Value of every global symbol that an ELF defines, by name; raises UserError when it cannot be read."""
    with opened(elf) as file:
        return {
            symbol.name: symbol["st_value"]
            for symbol in symbols(file)
            if symbol["st_info"]["bind"] == "STB_GLOBAL" and symbol["st_shndx"] != "SHN_UNDEF"
        }


def absolute_symbols(elf: Path) -> dict[str, int]:
    """Value of every absolute symbol of an ELF, by name; raises UserError when it cannot be read."""
    with opened(elf) as file:
        return {symbol.name: symbol["st_value"] for symbol in symbols(file) if symbol["st_shndx"] == "SHN_ABS"}
