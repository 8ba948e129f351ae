"""The memory report: what a firmware takes of each memory and may take, and the rules that it must keep.

Everything is read from the ELF: sections and symbols say what is where, and the absolute symbols NAME_origin
and NAME_capacity of linker/esp32.ld say how large each memory is.
"""

import json
import textwrap
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elftools.elf.constants import SH_FLAGS
from microgpt.plan import Error, plan

from mgbuild.errors import UserError, suggestion
from mgbuild.firmware import image
from mgbuild.firmware.elf import absolute_symbols, opened, symbols
from mgbuild.firmware.stack import Stack

FLASH = "flash"
MODEL_ONLY = "sram1"  # no section may be there
MODEL_BANKS = {"dram": "dram_model_bytes", "sram1": "sram1_capacity"}  # symbols of linker/esp32.ld: bytes for a model
SHOWN_SYMBOLS = 12
CHECKPOINTS = 2 * 100_000  # that two slots stand: a sector of flash 100,000 erases (src_c/app/remember.c)
STEP_MILLISECONDS = 1.2 / 4192  # for each parameter, by the model of the LX6's cycles for the default one on one core

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

GROWTH = ("n_embd", "n_layer", "block_size", "steps")  # options that static RAM grows with
ADVICE = {
    "iram": "the size of code does not depend on the model's shape: shorten the largest functions",
    FLASH: "use a data set with fewer or shorter documents",
}


class BudgetExceeded(UserError):
    """A firmware that exceeds its budget or the chip, or breaks a rule; the message says why."""


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
    static_ram: int  # data, constants, bss, stacks, and what the plan takes for the model
    static_ram_budget: int
    code: int  # instructions and their literals, in RAM too
    symbols: tuple[Symbol, ...]  # largest first
    broken_rules: tuple[str, ...]
    purposes: tuple[tuple[str, int], ...] = ()  # of static RAM: they add up to it
    plan: dict[str, Any] = field(default_factory=dict)  # of the model, see _plan()
    stack: Stack | None = None
    made_from: dict[str, Any] = field(default_factory=dict)  # configure.with_text()
    flash: dict[str, int] = field(default_factory=dict)  # image.FlashLayout, and the bytes of the two parts in it

    @property
    def changed(self) -> dict[str, Any]:
        """The options that have another value than their default, with that default."""
        return self.made_from.get("changed", {})


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


def analyse(
    elf: Path,
    firmware: Path,
    dataset: Path,
    budget: Path,
    made_from: Mapping[str, Any] | None = None,
    stack: Stack | None = None,
    library: Path | None = None,
) -> Report:
    """Measure a firmware, its image, its data set and the plan for its model against the budgets in a TOML file.

    made_from: configure.with_text(). The budgets bind the default firmware; one with changed options may fill the
    memories. library: libmicrogpt.so, which makes the plan; without it there is no model. Raises UserError when a file
    cannot be read or the ELF was not linked with linker/esp32.ld.
    """
    memories = _memories(elf)
    limits, static_ram_budget = _read_budget(budget, [memory.name for memory in memories] + [FLASH])
    made_from = dict(made_from or {})
    if made_from.get("changed"):
        limits = {}
        static_ram_budget = sum(memory.capacity for memory in memories if memory.name in MODEL_BANKS)
    sections, labels = _contents(elf)
    sections = [section for section in sections if section.name != image.TEXTS]
    plan = _plan(elf, made_from, library) if library else {}
    broken_rules = [
        *_outside_memories(sections, [memory for memory in memories if memory.name != MODEL_ONLY]),
        *_not_loadable(sections),
        *_data_on_instruction_bus(sections, labels),
        *_functions_without_size(labels),
    ]
    layout = image.flash_layout(elf)
    parts = {"firmware image": _file_size(firmware), "data set": _file_size(dataset)}
    broken_rules += image.layout_problems(layout, *parts.values())

    regions = []
    symbols = [Symbol(name, FLASH, size) for name, size in parts.items()]
    for memory in memories:
        inside = [section for section in sections if section in memory]
        used = max((section.end - memory.origin for section in inside), default=0)
        used += plan["extents"].get(memory.name, 0) if plan else 0
        regions.append(Region(memory.name, used, memory.capacity, limits.get(memory.name, memory.capacity)))
        for section in inside:
            symbols += _contributors(section, labels, memory.name)
    if plan:
        symbols += [Symbol(name, plan["place"][name], size) for name, size in plan["purposes"].items() if size]
    capacity = layout.capacity - layout.firmware
    regions.append(Region(FLASH, sum(parts.values()), capacity, limits.get(FLASH, capacity)))
    purposes = _purposes(sections, plan)
    return Report(
        elf=elf,
        regions=tuple(regions),
        static_ram=sum(size for _, size in purposes),
        static_ram_budget=static_ram_budget,
        code=sum(section.size for section in sections if section.executable),
        symbols=tuple(sorted(symbols, key=lambda symbol: (-symbol.bytes, symbol.name))),
        broken_rules=tuple(broken_rules),
        purposes=purposes,
        plan=plan,
        stack=stack,
        made_from=made_from,
        flash={**vars(layout), **{f"{name.replace(' ', '_')}_bytes": size for name, size in parts.items()}},
    )


def problems(report: Report) -> list[str]:
    """One paragraph for each broken rule, overfull memory and exceeded budget, saying what to do."""
    found = list(report.broken_rules)
    if report.plan.get("missing"):
        free = " and ".join(f"{size:,} in {name}" for name, size in report.plan["banks"].items())
        found.append(f"the model is {report.plan['missing']:,} bytes too large: {free} are free; {_smaller(report)}")
    # Flash is overfull only where a part of it does not fit its place, which is among the broken rules.
    overfull = [region.name for region in report.regions if region.used > region.capacity and region.name != FLASH]
    for region in report.regions:
        culprits = _culprits(report, region.name)
        if region.name in overfull and report.plan.get("missing") and region.name in MODEL_BANKS:
            continue
        if region.name in overfull:
            found.append(
                f"{region.name} holds {region.capacity:,} bytes and {region.used:,} are used, "
                f"{region.used - region.capacity:,} too many; {culprits}"
            )
        elif region.budget < region.used <= region.capacity:
            found.append(_over_budget(region.name, region.name, region.used, region.budget, culprits))
    if report.static_ram > report.static_ram_budget and not overfull:
        culprits = _culprits(report, "static_ram")
        found.append(_over_budget("static RAM", "static_ram", report.static_ram, report.static_ram_budget, culprits))
    return found


def text(report: Report, before: Report | None = None) -> str:
    """The report as a table for people, sizes in bytes, and what differs from an earlier one."""
    rows: list[tuple[str, ...]] = [("", "used", "free", "capacity", "of capacity")]
    rows += [(region.name, *_columns(region.used, region.capacity)) for region in report.regions]
    if report.stack:
        rows.append(("stack bound", *_columns(report.stack.program.bytes, report.stack.size)))
        rows.append(("second stack", *_columns(report.stack.second.bytes, report.stack.second_size)))
    rows += [("static RAM", f"{report.static_ram:,}"), ("code in RAM", f"{report.code:,}")]
    lines = [f"memory of {report.elf}, bytes"]
    lines += [f"{name:<12}" + "".join(f"{cell:>13}" for cell in cells).rstrip() for name, *cells in rows]
    lines += _budgets(report)
    if report.purposes:
        lines.append("static RAM by purpose")
        lines += [f"  {'':<10}{size:>13,}  {name}" for name, size in report.purposes]
    if report.plan:
        left = {name: size - report.plan["extents"][name] for name, size in report.plan["banks"].items()}
        shares = " and ".join(f"{size:,} in {name}" for name, size in left.items())
        room = sum(report.plan["banks"].values())
        lines.append(f"left for larger models: {max(0, sum(left.values())):,} of {room:,}, {shares}")
    lines += _wear(report)
    lines.append("largest")
    for symbol in report.symbols[:SHOWN_SYMBOLS]:
        lines.append(f"  {symbol.region:<10}{symbol.bytes:>13,}  {symbol.name}")
    lines += differences(before, report) if before else ()
    return "\n".join(lines)


def _wear(report: Report) -> list[str]:
    """How long flash stands the checkpoints that save_every asks for, with a model that trains without a pause."""
    every = report.made_from.get("options", {}).get("save_every", 0)
    if not every or not report.plan:
        return []
    milliseconds = STEP_MILLISECONDS * report.plan["purposes"]["weights"] / 4
    years = every * CHECKPOINTS * milliseconds / 1000 / (365.25 * 86400)
    return [
        f"flash: a checkpoint every {every:,} steps, of some {milliseconds:.1f} ms each, wears it out in about "
        f"{years:.2g} years of training without a pause"
    ]


def as_json(report: Report) -> str:
    """The report for programs: what it is made from, regions, static RAM, code, every symbol, problems."""
    document = {
        "elf": report.elf.name,
        "made_from": report.made_from,
        "problems": problems(report),
        "broken_rules": report.broken_rules,
        "regions": {
            region.name: {"used": region.used, "capacity": region.capacity, "budget": region.budget}
            for region in report.regions
        },
        "static_ram": report.static_ram,
        "static_ram_budget": report.static_ram_budget,
        "code": report.code,
        "purposes": dict(report.purposes),
        "plan": report.plan,
        "flash": report.flash,
        "stack": report.stack.as_dict() if report.stack else None,
        "symbols": [vars(symbol) for symbol in report.symbols],
    }
    return json.dumps(document, indent=2) + "\n"


def read(path: Path) -> Report:
    """The report that a file beside the ELF holds as JSON; raises UserError for any other file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Report(
            elf=path.with_name(document["elf"]),
            regions=tuple(Region(name, **sizes) for name, sizes in document["regions"].items()),
            static_ram=int(document["static_ram"]),
            static_ram_budget=int(document["static_ram_budget"]),
            code=int(document["code"]),
            symbols=tuple(Symbol(**symbol) for symbol in document["symbols"]),
            broken_rules=tuple(document["broken_rules"]),
            purposes=tuple(document["purposes"].items()),
            plan=dict(document["plan"]),
            flash=dict(document["flash"]),
            stack=Stack.from_dict(document["stack"]) if document["stack"] else None,
            made_from=dict(document["made_from"]),
        )
    except OSError as error:
        raise UserError(f"cannot read the memory report {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is no memory report; give a memory.json that a build has written") from None


def read_if_any(path: Path) -> Report | None:
    """The report in a file, if there is a file and it holds one."""
    try:
        return read(path)
    except UserError:
        return None


def differences(before: Report, report: Report) -> list[str]:
    """Lines that name each object whose size differs from an earlier report's, the largest change first."""
    old, new = _sizes(before), _sizes(report)
    changed = [(new[key] - old[key], *key) for key in old.keys() | new.keys() if new[key] != old[key]]
    changed.sort(key=lambda change: (-abs(change[0]), change))
    lines = [f"  {region:<10}{change:>+13,}  {name}" for change, region, name in changed[:SHOWN_SYMBOLS]]
    if len(changed) > SHOWN_SYMBOLS:
        lines.append(f"  and {len(changed) - SHOWN_SYMBOLS} more objects")
    total = report.static_ram - before.static_ram
    return [f"changed, static RAM {total:+,} bytes", *lines] if changed else ["nothing changed"]


def _sizes(report: Report) -> Counter[tuple[str, str]]:
    sizes = Counter[tuple[str, str]]()
    for symbol in report.symbols:
        sizes[symbol.region, symbol.name] += symbol.bytes
    return sizes


def judge(report: Report, what_fits: Callable[[Report], str] | None = None) -> None:
    """Raise BudgetExceeded when there are problems, with one paragraph of short lines for each.

    what_fits: says which options would fit when the chip's RAM is full.
    """
    found = problems(report)
    if found:
        if what_fits and report.plan.get("missing"):
            found.append(what_fits(report))
        lines = [_paragraph(problem) for problem in found]
        raise BudgetExceeded("\n".join([f"{report.elf} is refused", *lines]))


def _paragraph(text: str) -> str:
    """A text as an item of a list in 80 columns."""
    lines = textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)
    return "- " + "\n  ".join(lines)


def _purposes(sections: Iterable[_Section], plan: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Static RAM by what it is for: they add up to it."""
    data = Counter({section.name: section.size for section in sections if not section.executable})
    found = [("stack", data.pop(".stack", 0)), ("stack of the second core", data.pop(".second_stack", 0))]
    found.append(("constants", data.pop(".rodata", 0)))
    found += [(name, size) for name, size in plan.get("purposes", {}).items() if size]
    gaps = sum(plan.get("extents", {}).values()) - sum(plan.get("purposes", {}).values())
    found += [("gaps between the model's arrays", gaps)] if gaps else []
    found.append(("other variables", data.total()))
    return tuple((name, size) for name, size in found if size)


def _plan(elf: Path, made_from: Mapping[str, Any], library: Path) -> dict[str, Any]:
    """What the firmware's own plan says for its default options and its text.

    banks: bytes that the firmware leaves for a model; extents: those of each that the model takes; purposes: bytes by
    what they are for; place: the bank of each; missing, smaller, sentence: see microgpt.Plan. Raises UserError when
    the options make no model.
    """
    banks = model_banks(elf)
    try:
        found = plan(list(banks.values()), path=library, **request(made_from))
    except Error as error:
        raise UserError(str(error)) from None
    names = list(banks)
    return {
        "banks": banks,
        "extents": dict(zip(names, found.extents, strict=True)),
        "purposes": found.purposes,
        "place": {name: names[bank] for name, bank in found.banks_of_purposes.items()},
        "missing": found.missing,
        "smaller": found.smaller,
        "sentence": found.sentence,
    }


def model_banks(elf: Path) -> dict[str, int]:
    """Bytes of each memory that a firmware leaves for the model, in the order in which it fills them."""
    symbols = absolute_symbols(elf)
    return {memory: symbols[symbol] for memory, symbol in MODEL_BANKS.items()}


def request(made_from: Mapping[str, Any]) -> dict[str, int]:
    """What microgpt.plan() asks for, from the record of what a firmware is made of."""
    options, text = made_from["options"], made_from["text"]
    asked = {name: options[name] for name in ("n_embd", "n_head", "n_layer", "block_size", "steps")}
    return {**asked, "vocab_size": text["vocab_size"], "documents": text["documents"]}


def _over_budget(what: str, key: str, used: int, budget: int, culprits: str) -> str:
    return (
        f"{what} is {used - budget:,} bytes over its budget of {budget:,}; {culprits}, "
        f"or raise {key} in linker/budget.toml if this size is meant"
    )


def _columns(used: int, capacity: int) -> tuple[str, str, str, str]:
    return f"{used:,}", f"{capacity - used:,}", f"{capacity:,}", f"{100 * used / capacity:.0f} %"


def _budgets(report: Report) -> list[str]:
    """Lines on the budgets that this firmware has below the chip's own limits; none where it may fill the memories."""
    bound = [(region.name, region.used, region.budget) for region in report.regions if region.budget < region.capacity]
    if report.static_ram_budget < sum(region.capacity for region in report.regions if region.name in MODEL_BANKS):
        bound.insert(0, ("static RAM", report.static_ram, report.static_ram_budget))
    lines = [
        f"  {name:<10}{used:>13,}  of {budget:,}, {abs(budget - used):,} {'left' if used <= budget else 'over'}"
        for name, used, budget in bound
    ]
    return ["the default firmware keeps to budgets, larger models may fill the chip", *lines] if lines else []


def _culprits(report: Report, place: str) -> str:
    """The largest contributors to a memory (or to static RAM) and what to do about it."""
    of_code = {region.name for region in report.regions} - {"iram", FLASH}
    places = of_code if place == "static_ram" else {place}
    largest = [f"{symbol.name} {symbol.bytes:,}" for symbol in report.symbols if symbol.region in places][:5]
    advice = ADVICE.get(place) or _smaller(report)
    return f"largest: {', '.join(largest)}; {advice}"


def _smaller(report: Report) -> str:
    """What to make smaller: the options at fault, or all that can be, should the defaults be too large."""
    options, changed = report.made_from.get("options", {}), report.changed
    at_fault = [name for name in GROWTH if name in changed and options[name] > changed[name]]
    advice = f"make {' or '.join(at_fault or GROWTH)} smaller"
    if not at_fault or "dataset" in changed:
        advice += ", or use a data set with fewer documents or characters"
    return advice


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
            for symbol in symbols(parsed)
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
