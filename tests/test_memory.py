"""The memory report and each rule it enforces, on tiny programs linked with the real linker script."""

import json
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Completed, Programs
from cross import Cross
from mgbuild.errors import UserError
from mgbuild.firmware import image, memory, memory_page

PROGRAM = """
    .section .text._start, "ax"
    .global _start
    .type _start, @function
_start:
    j _start
    .size _start, . - _start

    .section .bss.weights, "aw", @nobits
    .type weights, @object
weights:
    .space 4000
    .size weights, . - weights

    .section .rodata.table, "a"
    .type table, @object
table:
    .byte 1, 2, 3
    .size table, . - table
"""
STACK = 1152  # linker/esp32.ld, for each core
USED = 2 * STACK + 4000 + 16  # static RAM of PROGRAM

Link = Callable[..., Path]


@pytest.fixture
def link(tmp_path: Path, cross: Cross) -> Link:
    """Function from assembly text, and flags for ld, to the path of an ELF linked with linker/esp32.ld."""

    def build(assembly: str, *flags: str) -> Path:
        source, part, elf = (tmp_path / f"firmware.{suffix}" for suffix in ("s", "o", "elf"))
        source.write_text(assembly)
        cross.object(source, part)
        return cross.link(elf, "linker/esp32.ld", [part], "--no-gc-sections", "--orphan-handling=place", *flags)

    return build


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.bin"
    path.write_bytes(bytes(1000))
    return path


@pytest.fixture
def budget(tmp_path: Path) -> Path:
    path = tmp_path / "budget.toml"
    path.write_text("static_ram = 10_000\niram = 2_000\n")
    return path


def at(section: str, address: int) -> str:
    return f"--section-start={section}={address:#x}"


def analyse(elf: Path, budget: Path, dataset: Path, changed: Mapping[str, object] = {}) -> memory.Report:
    """The report of a firmware with its image; changed: options that have another value than their default, 0."""
    firmware = elf.with_suffix(".bin")
    firmware.write_bytes(image.firmware_image(elf))
    record = {"version": "v1", "options": {**changed}, "changed": dict.fromkeys(changed, 0)}
    return memory.analyse(elf, firmware, dataset, budget, record)


def refusal(elf: Path, budget: Path, dataset: Path, changed: Mapping[str, object] = {}) -> list[str]:
    """The problems for which a firmware is refused, one a line: those that its JSON names."""
    report = analyse(elf, budget, dataset, changed)
    with pytest.raises(memory.BudgetExceeded) as caught:
        memory.judge(report)
    first, *others = str(caught.value).splitlines()
    assert first == f"{elf} is refused"
    assert max(map(len, others)) <= 80
    found = [text.replace("\n  ", " ") for text in "\n".join(others).removeprefix("- ").split("\n- ")]
    assert json.loads(memory.as_json(report))["problems"] == found
    return found


def test_measures_every_byte(link: Link, budget: Path, dataset: Path) -> None:
    report = analyse(link(PROGRAM), budget, dataset)
    regions = {region.name: region for region in report.regions}
    assert report.broken_rules == ()
    assert [region.name for region in report.regions] == ["dram", "sram1", "iram", "flash"]
    assert regions["dram"] == memory.Region("dram", USED, 192 * 1024, 192 * 1024)
    assert regions["iram"].capacity == 128 * 1024
    assert regions["iram"].budget == 2_000
    assert report.static_ram == regions["dram"].used
    assert report.code == regions["iram"].used
    for name, region in regions.items():
        assert region.used == sum(symbol.bytes for symbol in report.symbols if symbol.region == name)
    assert memory.Symbol("weights", "dram", 4000) in report.symbols
    assert memory.Symbol("table", "dram", 3) in report.symbols
    for name in (".stack", ".second_stack"):
        assert memory.Symbol(name, "dram", STACK) in report.symbols
    assert memory.Symbol("_start", "iram", 3) in report.symbols
    assert memory.Symbol("data set", "flash", 1000) in report.symbols


def test_report_for_people_and_for_programs(link: Link, budget: Path, dataset: Path) -> None:
    report = analyse(link(PROGRAM), budget, dataset)
    text = memory.text(report)
    for word in ("dram", "iram", "flash", "static RAM", f"{USED:,}", "10,000", "196,608", "weights"):
        assert word in text
    document = json.loads(memory.as_json(report))
    assert document["regions"]["dram"] == {"used": USED, "capacity": 196608, "budget": 196608}
    assert document["static_ram"] == USED
    assert document["static_ram_budget"] == 10_000
    assert {"name": "weights", "region": "dram", "bytes": 4000} in document["symbols"]
    assert document["problems"] == []
    assert document["made_from"]["version"] == "v1"


def test_a_budget_is_not_taken_for_the_chip(link: Link, budget: Path, dataset: Path) -> None:
    """What is free in the chip and what is left of the budget are two things, and both are said."""
    default = analyse(link(PROGRAM), budget, dataset)
    lines = memory.text(default).splitlines()
    assert f"  static RAM{USED:>13,}  of 10,000, {10_000 - USED:,} left" in lines
    [dram] = [line.split() for line in lines if line.startswith("dram ")]
    assert dram == ["dram", f"{USED:,}", f"{196_608 - USED:,}", "196,608", f"{100 * USED / 196_608:.0f}", "%"]
    over = analyse(link(PROGRAM.replace("4000", "12000")), budget, dataset)
    assert f"of 10,000, {over.static_ram - 10_000:,} over" in memory.text(over)
    larger = analyse(link(PROGRAM), budget, dataset, {"n_embd": 24})
    assert "keeps to budgets" not in memory.text(larger)
    assert max(map(len, memory.text(default).splitlines()[1:])) <= 80  # the first line names the file


def test_a_report_is_read_as_it_was_written(link: Link, budget: Path, dataset: Path, tmp_path: Path) -> None:
    report = analyse(link(PROGRAM), budget, dataset, {"n_embd": 24})
    (tmp_path / "memory.json").write_text(memory.as_json(report))
    assert memory.read(tmp_path / "memory.json") == report


def test_a_second_report_names_what_has_changed(link: Link, budget: Path, dataset: Path) -> None:
    first = analyse(link(PROGRAM), budget, dataset)
    assert "changed" not in memory.text(first)
    assert memory.text(first, before=first).endswith("\nnothing changed")
    grown = analyse(link(PROGRAM.replace("4000", "4100")), budget, dataset)
    changes = memory.text(grown, before=first).split("changed, static RAM +")[1].splitlines()
    assert "dram               +100  weights" in changes[1]
    assert "dram               -100  weights" in memory.text(first, before=grown)


def test_scons_compares_with_the_report_that_is_named(
    programs: Programs, scons: Callable[..., Completed], tmp_path: Path
) -> None:
    document = json.loads((programs.esp32() / "memory.json").read_text())
    (learner,) = (symbol for symbol in document["symbols"] if symbol["name"] == "program")
    learner["bytes"] -= 1234
    other = tmp_path / "other.json"
    other.write_text(json.dumps(document))
    with programs.build_folder() as build:
        result = scons("memory", f"against={other}", f"build={build}")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^changed, static RAM .*\n.* \+1,234  program$", result.stdout, re.M), result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the memory report"),
        *((text, "give a memory.json") for text in ("{", "[]", "3", '{"symbols": []}', '{"symbols": {"a": 1}}')),
    ],
)
def test_what_is_no_report(tmp_path: Path, content: str | None, message: str) -> None:
    other = tmp_path / "other.json"
    if content:
        other.write_text(content)
    with pytest.raises(UserError, match=message):
        memory.read(other)
    assert memory.read_if_any(other) is None


def test_a_part_of_a_report_is_none(link: Link, budget: Path, dataset: Path, tmp_path: Path) -> None:
    text = memory.as_json(analyse(link(PROGRAM), budget, dataset))
    part = tmp_path / "part.json"
    for length in range(0, len(text) - 1, 97):
        part.write_text(text[:length])
        assert memory.read_if_any(part) is None


class Reader(HTMLParser):
    """Collects what a page shows and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.open, self.loads = "", [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "elements are closed in order"

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_the_page_shows_the_banks_of_the_chip_and_loads_nothing(programs: Programs) -> None:
    folder = programs.esp32()
    page = Reader((folder / "memory.html").read_text())
    document = json.loads((folder / "memory.json").read_text())
    assert page.open == page.loads == []
    for words in ("of the chip, 520 KB", "532,480", "SRAM0", "SRAM1", "SRAM2", "Flash"):
        assert words in page.text
    for stack in ("stack", "second_stack"):
        assert f"at most {document['stack'][f'{stack}_bound']:,} bytes" in page.text
    for purpose, size in document["purposes"].items():
        assert f"{purpose} {size:,}" in page.text
    made = document["made_from"]
    version = f"Version {made['version']}" + (f" of {made['date']}" if made["date"] else "")
    for words in ("It fits.", f"{version}: ", "n_embd=16", "dataset=names.txt", "32,033 documents"):
        assert words in page.text


def test_the_page_of_a_refused_firmware_says_so(link: Link, budget: Path, dataset: Path) -> None:
    report = analyse(link(PROGRAM.replace("4000", "300000"), "--no-check-sections"), budget, dataset)
    problems = memory.problems(report)
    html = memory_page.page(report, problems)
    assert "This firmware is refused." in html
    assert problems[0] in Reader(html).text
    excess = 2 * STACK + 300_000 + 16 - 196_608
    assert f"other variables {excess:,}" in Reader(html).text
    (sram2,) = (bank for bank in memory_page.banks(report) if bank.name == "SRAM2")
    assert [piece for piece in sram2.pieces if piece.kind == "free"] == []
    assert html.count('<div class="excess"') == 1
    assert "refused." not in memory_page.page(report, [])


@pytest.mark.parametrize("weights", [2000, 100_000, 190_000, 300_000])
def test_the_banks_add_up(link: Link, budget: Path, dataset: Path, weights: int) -> None:
    report = analyse(link(PROGRAM.replace("4000", str(weights)), "--no-check-sections"), budget, dataset)
    assert [bank.bytes for bank in memory_page.banks(report)] == [192 * 1024, 200 * 1024, 128 * 1024]
    assert memory_page.flash(report).bytes == 4 << 20
    ours = [p.bytes for bank in memory_page.banks(report) for p in bank.pieces if p.kind in ("model", "ours", "excess")]
    assert sum(ours) == report.static_ram


CANARY = """
    .section {section}
    .global canary
    .type canary, {kind}
    .balign 16
canary:
    .space 1024
    .size canary, . - canary
"""


@pytest.mark.parametrize(
    ("section", "kind", "region"),
    [
        ('.bss.canary, "aw", @nobits', "@object", "dram"),
        ('.data.canary, "aw"', "@object", "dram"),
        ('.rodata.canary, "a"', "@object", "dram"),
        ('.text.canary, "ax"', "@function", "iram"),
    ],
)
def test_a_kilobyte_more_shows_up_under_its_name(
    link: Link, budget: Path, dataset: Path, section: str, kind: str, region: str
) -> None:
    before = analyse(link(PROGRAM), budget, dataset)
    after = analyse(link(PROGRAM + CANARY.format(section=section, kind=kind)), budget, dataset)
    assert memory.Symbol("canary", region, 1024) in after.symbols
    grown = {new.name: new.used - old.used for old, new in zip(before.regions, after.regions, strict=True)}
    assert 1024 <= grown[region] < 1024 + 16, "with what aligns it"
    assert grown["dram" if region == "iram" else "iram"] == 0
    assert (after.static_ram > before.static_ram) == (region == "dram")
    assert (after.code > before.code) == (region == "iram")


def test_a_kilobyte_more_of_data_set_shows_up_in_flash(link: Link, budget: Path, dataset: Path) -> None:
    before = analyse(link(PROGRAM), budget, dataset)
    dataset.write_bytes(bytes(1000 + 1024))
    after = analyse(link(PROGRAM), budget, dataset)
    assert after.static_ram == before.static_ram
    assert memory.Symbol("data set", "flash", 2024) in after.symbols


def test_the_budget_is_inclusive(link: Link, budget: Path, dataset: Path) -> None:
    elf = link(PROGRAM)
    used = {region.name: region.used for region in analyse(elf, budget, dataset).regions if region.used}
    budget.write_text(f"static_ram = {USED}\n" + "".join(f"{name} = {size}\n" for name, size in used.items()))
    memory.judge(analyse(elf, budget, dataset))
    budget.write_text(f"static_ram = {USED - 1}")
    (problem,) = refusal(elf, budget, dataset)
    assert f"static RAM is 1 bytes over its budget of {USED - 1:,}" in problem
    for name, size in used.items():
        budget.write_text(f"static_ram = {USED}\n{name} = {size - 1}")
        (problem,) = refusal(elf, budget, dataset)
        assert f"{name} is 1 bytes over its budget of {size - 1:,}" in problem


def test_another_model_than_the_default_may_fill_the_chip(link: Link, budget: Path, dataset: Path) -> None:
    report = analyse(link(PROGRAM.replace("4000", "90000")), budget, dataset, {"n_embd": 24})
    assert report.static_ram > 10_000
    assert memory.problems(report) == []


def test_static_ram_over_budget_names_culprits(link: Link, budget: Path, dataset: Path) -> None:
    (problem,) = refusal(link(PROGRAM.replace("4000", "9000")), budget, dataset)
    assert "static RAM is 1,328 bytes over its budget of 10,000" in problem
    assert f"largest: weights 9,000, .second_stack {STACK:,}, .stack {STACK:,}" in problem
    assert "raise static_ram in linker/budget.toml" in problem


def test_region_over_budget_names_culprits(link: Link, budget: Path, dataset: Path) -> None:
    code = PROGRAM.replace("j _start", ".space 2400")
    (problem,) = refusal(link(code), budget, dataset)
    assert "iram is 400 bytes over its budget of 2,000; largest: _start 2,400" in problem


@pytest.mark.parametrize("size", [200_000, 1_000_000, 100_000_000])
def test_model_larger_than_the_chip(link: Link, budget: Path, dataset: Path, size: int) -> None:
    elf = link(PROGRAM.replace("4000", str(size)), "--no-check-sections")
    (problem,) = refusal(elf, budget, dataset)
    used = size + 2 * STACK + 16
    expected = f"dram holds 196,608 bytes and {used:,} are used, {used - 196_608:,} too many"
    assert expected in problem
    assert f"weights {size:,}" in problem
    assert "raise" not in problem


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"steps": 5000}, "make steps smaller"),
        ({"n_embd": 32, "n_layer": -1}, "make n_embd smaller"),
        ({"n_embd": 32, "dataset": "a.txt"}, "make n_embd smaller, or use a data set with fewer documents"),
        ({"seed": 7}, "make n_embd or n_layer or block_size or steps smaller, or use a data set"),
    ],
)
def test_advice_names_the_options_at_fault(
    link: Link, budget: Path, dataset: Path, changed: dict[str, object], advice: str
) -> None:
    elf = link(PROGRAM.replace("4000", "200000"), "--no-check-sections")
    (problem,) = refusal(elf, budget, dataset, changed)
    assert f"; {advice}" in problem


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (0x3FFE3000, "the loader's stack"),
        (0x3FFAE000, "ROM variables"),
        (0x40070000, "the cache that the ROM reads through"),
    ],
)
def test_segment_that_the_rom_cannot_load(link: Link, budget: Path, dataset: Path, address: int, place: str) -> None:
    code = PROGRAM + '\n.section .stray, "ax"\n.space 64\n'
    problems = refusal(link(code, at(".stray", address)), budget, dataset)
    expected = f"section .stray (64 bytes at {address:#x}) is where the ROM cannot load"
    assert [line for line in problems if line.startswith(expected)], place
    assert f"section .stray (64 bytes at {address:#x}) begins outside dram or iram" in " ".join(problems)


def test_segment_that_runs_into_rom_memory(link: Link, budget: Path, dataset: Path) -> None:
    code = PROGRAM + '\n.section .stray, "ax"\n.space 64\n'
    (problem,) = [
        line for line in refusal(link(code, at(".stray", 0x3FFDFFF0)), budget, dataset) if "cannot load" in line
    ]
    assert problem.startswith("section .stray (64 bytes at 0x3ffdfff0)")


def test_unloaded_section_outside_every_memory(link: Link, budget: Path, dataset: Path) -> None:
    code = PROGRAM + '\n.section .heap, "aw", @nobits\n.space 64\n'
    (problem,) = refusal(link(code, at(".heap", 0x3FFE0000)), budget, dataset)
    assert "section .heap (64 bytes at 0x3ffe0000) begins outside dram or iram" in problem


@pytest.mark.parametrize("kind", ["@progbits", "@nobits"])
def test_data_in_instruction_memory(link: Link, budget: Path, dataset: Path, kind: str) -> None:
    code = PROGRAM + f'\n.section .fast, "aw", {kind}\n.space 8\n'
    (problem,) = refusal(link(code, at(".fast", 0x40080700)), budget, dataset)
    assert "section .fast (8 bytes at 0x40080700) is data in instruction memory" in problem


def test_object_among_code(link: Link, budget: Path, dataset: Path) -> None:
    constant = ".type constant, @object\nconstant: .byte 1, 2, 3, 4\n.size constant, 4\n"
    code = PROGRAM + '\n.section .text.constant, "ax"\n' + constant
    (problem,) = refusal(link(code), budget, dataset)
    assert "object constant at 0x400" in problem
    assert "is data in instruction memory" in problem


@pytest.mark.parametrize("forgotten", [".type _start, @function", ".size _start, . - _start"])
def test_function_without_size(link: Link, budget: Path, dataset: Path, forgotten: str) -> None:
    code = PROGRAM.replace(".size _start, . - _start", "") if "type" in forgotten else PROGRAM
    (problem,) = refusal(link(code.replace(forgotten, "")), budget, dataset)
    assert problem.startswith("function _start at 0x400")
    assert "has no size" in problem


def test_local_label_is_no_function(link: Link, budget: Path, dataset: Path) -> None:
    report = analyse(link(PROGRAM.replace("j _start", "loop: j loop")), budget, dataset)
    assert report.broken_rules == ()


def test_image_that_runs_into_the_data_set(link: Link, budget: Path, dataset: Path) -> None:
    code = PROGRAM + '\n.section .data.blob, "aw"\nblob: .space 600000\n'
    problems = refusal(link(code, "--no-check-sections"), budget, dataset)
    (problem,) = [line for line in problems if "firmware image" in line]
    assert "at flash offset 0x1000) runs" in problem
    assert "into the data set at 0x80000" in problem


def test_data_set_larger_than_flash(link: Link, budget: Path, dataset: Path) -> None:
    for excess in (5, 1 << 20):
        dataset.write_bytes(bytes(0x35A000 - 0x80000 + excess))
        (problem,) = refusal(link(PROGRAM), budget, dataset)
        assert f"runs {excess:,} bytes into the checkpoints at 0x35a000" in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("static_ram = [", "is not valid TOML"),
        ("static_ram = 90_000\ndrum = 5", "drum is no memory; did you mean dram?"),
        ("static_ram = 0", "static_ram must be a positive number of bytes, not 0"),
        ("static_ram = true", "static_ram must be a positive number of bytes, not True"),
        ("static_ram = '90 KB'", "static_ram must be a positive number of bytes, not '90 KB'"),
        ("dram = 5", "has no static_ram"),
    ],
)
def test_mistakes_in_the_budget(link: Link, budget: Path, dataset: Path, text: str, message: str) -> None:
    budget.write_text(text)
    with pytest.raises(UserError, match="memory budget") as caught:
        analyse(link(PROGRAM), budget, dataset)
    assert message in str(caught.value)


def test_missing_or_foreign_files(link: Link, budget: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        memory.analyse(tmp_path / "none.elf", dataset, dataset, budget)
    with pytest.raises(UserError, match="is not an ELF file"):
        memory.analyse(budget, dataset, dataset, budget)
    elf = link(PROGRAM)
    for missing in (
        (elf, dataset, dataset, tmp_path / "none.toml"),
        (elf, dataset, tmp_path / "none.bin", budget),
        (elf, tmp_path / "none.bin", dataset, budget),
    ):
        with pytest.raises(UserError, match=r"cannot read .*none\."):
            memory.analyse(*missing)


def test_the_project_keeps_its_promise(link: Link, dataset: Path) -> None:
    report = analyse(link(PROGRAM), Path("linker/budget.toml"), dataset)
    assert report.static_ram_budget == 82_000
    assert memory.problems(report) == []


def test_the_default_firmware_takes_less_than_promised(programs: Programs) -> None:
    assert json.loads((programs.esp32() / "memory.json").read_text())["static_ram"] <= 82_000


def test_how_long_flash_stands_checkpoints_is_told_where_there_are_any(programs: Programs) -> None:
    report = memory.read(programs.esp32(save_every=100) / "memory.json")
    (line,) = [line for line in memory.text(report).splitlines() if line.startswith("flash:")]
    assert line == (
        "flash: a checkpoint every 100 steps, of some 1.2 ms each, wears it out in about 0.00076 years of training "
        "without a pause"
    )
    assert "flash:" not in memory.text(memory.read(programs.esp32() / "memory.json"))
