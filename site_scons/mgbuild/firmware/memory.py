"""The memory report: what a firmware takes of each memory and may take, and the rules that it must keep.

Everything is read from the ELF: sections and symbols say what is where, and the absolute symbols NAME_origin
and NAME_capacity of linker/esp32.ld say how large each memory is.
"""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from elftools.elf.constants import SH_FLAGS

from mgbuild.errors import UserError, suggestion
from mgbuild.firmware import image, memory_page
from mgbuild.firmware.elf import absolute_symbols, opened

FLASH = "flash"
SHOWN_SYMBOLS = 12

# Where the ROM loader may put a segment: it checks nothing, and elsewhere would overwrite its own variables,
# its stack, the cache it reads through, or what the ROM of the second core writes when that starts.
LOADABLE = (
    range(0x3FFB0000, 0x3FFE0000),
    range(0x3FFE7E30, 0x40000000),
    range(0x40080000, 0x400A0000),
    range(0x400C0000, 0x400C2000),
    range(0x50000000, 0x50002000),
)

# On this bus only aligned words can be read or written: a byte of data here is an exception on the chip,
# though not in an emulator.
INSTRUCTION_BUS = range(0x40070000, 0x400C0000)

SMALLER_MODEL = (
    "make n_embd, n_layer or block_size smaller, or use a data set with fewer documents or characters (weights and "
    "moments grow with n_layer and the square of n_embd, activations with block_size, n_embd and n_layer)"
)
ADVICE = {
    "static_ram": SMALLER_MODEL,
    "dram": SMALLER_MODEL,
    "iram": "the size of code does not depend on the model's shape: shorten the largest functions",
    FLASH: "use a data set with fewer or shorter documents",
}


class BudgetExceeded(UserError):
    """A firmware that exceeds its budget or the chip, or breaks a rule; the message is the whole report."""


@dataclass(frozen=True)
class Region:
    """One memory; sizes in bytes."""

    name: str
    used: int
    capacity: int
    budget: int


@dataclass(frozen=True)
class Symbol:
    """What takes memory: a function, an object, or what is left of a section when its symbols are counted."""

    name: str
    region: str
    bytes: int


@dataclass(frozen=True)
class Report:
    """What a firmware takes; sizes in bytes."""

    elf: Path
    regions: tuple[Region, ...]
    static_ram: int  # data, constants, bss and stacks
    static_ram_budget: int
    code: int  # instructions and their literals, in RAM too
    symbols: tuple[Symbol, ...]  # largest first
    broken_rules: tuple[str, ...]
    purposes: tuple[tuple[str, int], ...] = ()  # of static RAM, if the ELF describes its types
    stack: dict[str, Any] = field(default_factory=dict)  # what stack.size() found out


@dataclass(frozen=True)
class _Section:
    name: str
    address: int
    size: int
    executable: bool
    loaded: bool  # has bytes in the image, unlike .bss and the stack

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(frozen=True)
class _Label:
    name: str
    address: int
    size: int
    kind: str  # STT_FUNC, STT_OBJECT or STT_NOTYPE
    local: bool
    section: _Section


@dataclass(frozen=True)
class _Memory:
    name: str
    origin: int
    capacity: int

    def __contains__(self, section: _Section) -> bool:
        return self.origin <= section.address < self.origin + self.capacity


def analyse(elf: Path, budget: Path, dataset: Path, default_firmware: bool = True) -> Report:
    """Measure a firmware and its data set against the budgets in a TOML file.

    The budgets bind the default firmware; any other may fill the memories.
    Raises UserError when a file cannot be read or the ELF was not linked with linker/esp32.ld.
    """
    memories = _memories(elf)
    limits, static_ram_budget = _read_budget(budget, [memory.name for memory in memories] + [FLASH])
    if not default_firmware:
        limits = {}
        static_ram_budget = next(memory.capacity for memory in memories if memory.name == "dram")
    sections, labels = _contents(elf)
    broken_rules = [
        *_outside_memories(sections, memories),
        *_not_loadable(sections),
        *_data_on_instruction_bus(sections, labels),
        *_functions_without_size(labels),
    ]
    layout = image.flash_layout(elf)
    parts = {"firmware image": len(image.firmware_image(elf)), "data set": _file_size(dataset)}
    broken_rules += image.layout_problems(layout, *parts.values())

    regions = []
    symbols = [Symbol(name, FLASH, size) for name, size in parts.items()]
    for memory in memories:
        inside = [section for section in sections if section in memory]
        used = max((section.end - memory.origin for section in inside), default=0)
        regions.append(Region(memory.name, used, memory.capacity, limits.get(memory.name, memory.capacity)))
        for section in inside:
            symbols += _contributors(section, labels, memory.name)
    capacity = layout.capacity - layout.firmware
    regions.append(Region(FLASH, sum(parts.values()), capacity, limits.get(FLASH, capacity)))
    return Report(
        elf=elf,
        regions=tuple(regions),
        static_ram=sum(section.size for section in sections if not section.executable),
        static_ram_budget=static_ram_budget,
        code=sum(section.size for section in sections if section.executable),
        symbols=tuple(sorted(symbols, key=lambda symbol: (-symbol.bytes, symbol.name))),
        broken_rules=tuple(broken_rules),
        purposes=_purposes(elf, sections),
    )


def problems(report: Report) -> list[str]:
    """One paragraph for each broken rule, overfull memory and exceeded budget, saying what to do."""
    found = list(report.broken_rules)
    overfull = [region.name for region in report.regions if region.used > region.capacity]
    for region in report.regions:
        culprits = _culprits(report, region.name)
        if region.name in overfull:
            found.append(
                f"{region.name} holds {region.capacity:,} bytes and {region.used:,} are used, "
                f"{region.used - region.capacity:,} too many; {culprits}"
            )
        elif region.used > region.budget:
            found.append(_over_budget(region.name, region.name, region.used, region.budget, culprits))
    if report.static_ram > report.static_ram_budget and "dram" not in overfull:
        culprits = _culprits(report, "static_ram")
        found.append(_over_budget("static RAM", "static_ram", report.static_ram, report.static_ram_budget, culprits))
    return found


def text(report: Report) -> str:
    """The report as a table for people, sizes in bytes."""
    rows = [("", "used", "free", "capacity", "budget", "of budget")]
    for region in report.regions:
        rows.append((region.name, *_columns(region.used, region.capacity, region.budget)))
    rows.append(("static RAM", *_columns(report.static_ram, None, report.static_ram_budget)))
    rows.append(("code in RAM", f"{report.code:,}"))
    if report.stack:
        bound, size = report.stack["stack_bound"], report.stack["stack_size"]
        rows.append(("stack bound", f"{bound:,}", f"{size - bound:,}", f"{size:,}"))
    lines = [f"memory of {report.elf}, bytes"]
    lines += [f"{name:<12}" + "".join(f"{cell:>13}" for cell in cells).rstrip() for name, *cells in rows]
    if report.purposes:
        lines.append("static RAM by purpose")
        lines += [f"  {'dram':<10}{size:>13,}  {name}" for name, size in report.purposes]
    lines.append("largest")
    for symbol in report.symbols[:SHOWN_SYMBOLS]:
        lines.append(f"  {symbol.region:<10}{symbol.bytes:>13,}  {symbol.name}")
    return "\n".join(lines)


def write_json(report: Report, path: Path) -> None:
    """Write the report for programs: regions, static_ram and its budget, code, every symbol, broken rules."""
    document = {
        "regions": {
            region.name: {"used": region.used, "capacity": region.capacity, "budget": region.budget}
            for region in report.regions
        },
        "static_ram": report.static_ram,
        "static_ram_budget": report.static_ram_budget,
        "code": report.code,
        "purposes": dict(report.purposes),
        **report.stack,
        "symbols": [vars(symbol) for symbol in report.symbols],
        "problems": problems(report),
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def differences(before: dict[str, Any], report: Report) -> list[str]:
    """Lines that name each object whose size differs from an earlier report's (its JSON), the largest change first."""
    old, new = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for symbol in before.get("symbols", ()):
        old[symbol["region"], symbol["name"]] += symbol["bytes"]
    for one in report.symbols:
        new[one.region, one.name] += one.bytes
    changed = [(new[key] - old[key], *key) for key in old.keys() | new.keys() if new[key] != old[key]]
    changed.sort(key=lambda change: (-abs(change[0]), change))
    lines = [f"  {region:<10}{change:>+13,}  {name}" for change, region, name in changed[:SHOWN_SYMBOLS]]
    if len(changed) > SHOWN_SYMBOLS:
        lines.append(f"  and {len(changed) - SHOWN_SYMBOLS} more objects")
    total = report.static_ram - before.get("static_ram", report.static_ram)
    return [f"changed, static RAM {total:+,} bytes", *lines] if changed else ["nothing changed"]


def earlier(path: Path) -> dict[str, Any]:
    """An earlier report from its JSON; raises UserError when it cannot be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the earlier report {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is no memory report: {error}") from None
    if not isinstance(document, dict) or "symbols" not in document:
        raise UserError(f"{path} is no memory report; give a memory.json that an earlier build has written")
    return document


def check(
    elf: Path,
    budget: Path,
    dataset: Path,
    json_path: Path,
    default_firmware: bool = True,
    stack: Path | None = None,
    what_fits: Callable[[Report], str] | None = None,
    against: Path | None = None,
) -> str:
    """The report as text, and as JSON in a file; raises BudgetExceeded when there are problems.

    stack: what stack.size() has found out about this firmware; what_fits: says which shapes would fit when RAM is full.
    against: an earlier report to compare with, by default the one that json_path holds. A page for browsers is written
    beside the JSON.
    """
    report = analyse(elf, budget, dataset, default_firmware)
    if stack:
        report = replace(report, stack=json.loads(stack.read_text()))
    before = earlier(against or json_path) if against or json_path.exists() else {}
    write_json(report, json_path)
    json_path.with_suffix(".html").write_text(memory_page.page(report), encoding="utf-8")
    found = problems(report)
    if found:
        lines = [f"{elf} is refused", text(report), *(f"- {problem}" for problem in found)]
        dram = next(region for region in report.regions if region.name == "dram")
        if what_fits and dram.used > dram.capacity:
            lines.append(what_fits(report))
        raise BudgetExceeded("\n".join(lines))
    return "\n".join([text(report), *(differences(before, report) if before else ())])


# What lies in a member of struct training_memory (core/model.h), and in a section.
PURPOSES = {
    "weights": "weights",
    "first_moment": "Adam's first moments",
    "second_moment": "Adam's second moments",
    "activations": "activations",
    "gradients": "gradients and scratch",
}


def _purposes(elf: Path, sections: Iterable[_Section]) -> tuple[tuple[str, int], ...]:
    """Static RAM by what it is for: they add up to it."""
    data = {section.name: section.size for section in sections if not section.executable}
    members = dict(_training_memory(elf))
    if not members:
        return ()
    found = [("stack", data.get(".stack", 0)), ("constants", data.get(".rodata", 0))]
    found += [(PURPOSES.get(name, name), size) for name, size in members.items()]
    found.append(("other variables", data.get(".bss", 0) + data.get(".data", 0) - sum(members.values())))
    return tuple(found)


def _training_memory(elf: Path) -> list[tuple[str, int]]:
    """Members of struct training_memory with their sizes, from the ELF's description of types; none without one."""
    with opened(elf) as document:
        if not document.has_dwarf_info():
            return []
        for unit in document.get_dwarf_info().iter_CUs():
            for entry in unit.iter_DIEs():
                name = entry.attributes.get("DW_AT_name")
                if entry.tag != "DW_TAG_structure_type" or not name or name.value != b"training_memory":
                    continue
                if "DW_AT_byte_size" not in entry.attributes:
                    continue
                fields = [child for child in entry.iter_children() if child.tag == "DW_TAG_member"]
                starts = [child.attributes["DW_AT_data_member_location"].value for child in fields]
                ends = [*starts[1:], entry.attributes["DW_AT_byte_size"].value]
                names = [child.attributes["DW_AT_name"].value.decode() for child in fields]
                return [(name, end - start) for name, start, end in zip(names, starts, ends, strict=True)]
    return []


def _over_budget(what: str, key: str, used: int, budget: int, culprits: str) -> str:
    return (
        f"{what} is {used - budget:,} bytes over its budget of {budget:,}; {culprits}, "
        f"or raise {key} in linker/budget.toml if this size is meant"
    )


def _columns(used: int, capacity: int | None, budget: int) -> tuple[str, str, str, str, str]:
    room = ("", "") if capacity is None else (f"{capacity - used:,}", f"{capacity:,}")
    return f"{used:,}", *room, f"{budget:,}", f"{100 * used / budget:.0f} %"


def _culprits(report: Report, place: str) -> str:
    """The largest contributors to a memory (or to static RAM) and what to do about it."""
    of_code = {region.name for region in report.regions} - {"iram", FLASH}
    places = of_code if place == "static_ram" else {place}
    largest = [f"{symbol.name} {symbol.bytes:,}" for symbol in report.symbols if symbol.region in places][:5]
    advice = ADVICE.get(place, "see the largest above")
    return f"largest: {', '.join(largest)}; {advice}"


def _memories(elf: Path) -> list[_Memory]:
    """The memories that the linker script names, lowest first."""
    symbols = absolute_symbols(elf)
    found = [
        _Memory(name, symbols[f"{name}_origin"], symbols[f"{name}_capacity"])
        for name in (symbol.removesuffix("_origin") for symbol in symbols if symbol.endswith("_origin"))
        if f"{name}_capacity" in symbols
    ]
    if not found:
        raise UserError(f"{elf} names no memory: link it with linker/esp32.ld")
    return sorted(found, key=lambda memory: memory.origin)


def _read_budget(path: Path, known: list[str]) -> tuple[dict[str, int], int]:
    """Budget of each region that has one, and of static RAM, in bytes."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read memory budget {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"memory budget {path} is not valid TOML: {error}") from None
    names = ["static_ram", *known]
    for name, value in document.items():
        if name not in names:
            raise UserError(f"memory budget {path}: {name} is no memory; {suggestion(name, names)}")
        if type(value) is not int or value <= 0:
            raise UserError(f"memory budget {path}: {name} must be a positive number of bytes, not {value!r}")
    if "static_ram" not in document:
        raise UserError(f"memory budget {path} has no static_ram; add static_ram = <bytes>")
    static_ram = document.pop("static_ram")
    return document, static_ram


def _contents(elf: Path) -> tuple[list[_Section], list[_Label]]:
    """Sections that take memory, and the labels inside them."""
    with opened(elf) as parsed:
        sections = {}
        for index, section in enumerate(parsed.iter_sections()):
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section["sh_size"] > 0:
                sections[index] = _Section(
                    section.name,
                    section["sh_addr"],
                    section["sh_size"],
                    executable=bool(section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR),
                    loaded=section["sh_type"] != "SHT_NOBITS",
                )
        labels = [
            _Label(
                symbol.name,
                symbol["st_value"],
                symbol["st_size"],
                symbol["st_info"]["type"],
                symbol["st_info"]["bind"] == "STB_LOCAL",
                sections[symbol["st_shndx"]],
            )
            for symbol in parsed.get_section_by_name(".symtab").iter_symbols()
            if symbol["st_shndx"] in sections
        ]
    return list(sections.values()), labels


def _contributors(section: _Section, labels: list[_Label], region: str) -> list[Symbol]:
    """Symbols of a section, and one for its bytes that no symbol claims; together they make its size."""
    own = [label for label in labels if label.section == section and label.size]
    sized = {(label.address, label.size): label for label in own}
    covered, end = 0, section.address
    for address, size in sorted(sized):
        covered += max(0, address + size - max(address, end))
        end = max(end, address + size)
    symbols = [Symbol(label.name, region, label.size) for label in sized.values()]
    rest = section.size - covered
    if rest:
        symbols.append(Symbol(f"{section.name} (unnamed)" if symbols else section.name, region, rest))
    return symbols


def _extent(section: _Section) -> str:
    return f"{section.name} ({section.size:,} bytes at {section.address:#x})"


def _outside_memories(sections: list[_Section], memories: list[_Memory]) -> list[str]:
    names = " or ".join(memory.name for memory in memories)
    return [
        f"section {_extent(section)} begins outside {names}; linker/esp32.ld must place it in one of them"
        for section in sections
        if not any(section in memory for memory in memories)
    ]


def _not_loadable(sections: list[_Section]) -> list[str]:
    return [
        f"section {_extent(section)} is where the ROM cannot load: it may only fill "
        + ", ".join(f"{allowed.start:#x}-{allowed.stop - 1:#x}" for allowed in LOADABLE)
        for section in sections
        if section.loaded
        and not any(allowed.start <= section.address and section.end <= allowed.stop for allowed in LOADABLE)
    ]


def _data_on_instruction_bus(sections: list[_Section], labels: list[_Label]) -> list[str]:
    reason = "is data in instruction memory, which cannot be read byte by byte"
    return [
        f"section {_extent(section)} {reason}; linker/esp32.ld must place it in dram"
        for section in sections
        if not section.executable and section.address in INSTRUCTION_BUS
    ] + [
        f"object {label.name} at {label.address:#x} {reason}; take it out of section {label.section.name}"
        for label in labels
        if label.kind == "STT_OBJECT" and label.section.executable and label.address in INSTRUCTION_BUS
    ]


def _functions_without_size(labels: list[_Label]) -> list[str]:
    return [
        f"function {label.name} at {label.address:#x} has no size, so no report can count it; "
        f"give it .type {label.name}, @function and .size {label.name}, . - {label.name}"
        for label in labels
        if label.size == 0
        and label.section.executable
        and (label.kind == "STT_FUNC" or (label.kind == "STT_NOTYPE" and not label.local))
    ]


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
