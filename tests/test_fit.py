"""What fits: the firmware's own plan, asked by the build, says what the linked firmware takes, to the byte."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Completed, Programs
from mgbuild.firmware import fit, memory
from microgpt import plan

ROOM = 310_000  # bytes that a model may take, at least


@pytest.fixture(scope="module")
def report(programs: Programs) -> memory.Report:
    """Of the default firmware."""
    return memory.read(programs.esp32() / "memory.json")


@pytest.fixture(scope="module")
def library(programs: Programs) -> Path:
    return programs.library()


def test_static_ram_is_what_is_linked_and_what_the_plan_takes(report: memory.Report, library: Path) -> None:
    """The ELF's sections and the plan's arrays: nothing else, and nothing twice."""
    planned = plan(list(report.plan["banks"].values()), path=library, **memory.request(report.made_from))
    linked = sum(
        symbol.bytes for symbol in report.symbols if symbol.region == "dram" and symbol.name not in planned.purposes
    )
    assert report.static_ram == linked + planned.bytes
    assert report.plan["purposes"] == planned.purposes
    used = {region.name: region.used for region in report.regions}
    assert used["dram"] == report.static_ram
    assert used["sram1"] == 0, "the default model needs one bank"


def test_a_model_may_take_all_free_memory(report: memory.Report) -> None:
    linked = next(region for region in report.regions if region.name == "dram")
    taken = sum(report.plan["extents"].values())
    assert report.plan["banks"] == {"dram": linked.capacity - (linked.used - taken), "sram1": 0x40000000 - 0x3FFE0440}
    assert sum(report.plan["banks"].values()) >= ROOM


def test_the_largest_fits_and_the_next_does_not(
    scons: Callable[..., Completed], report: memory.Report, library: Path, programs: Programs
) -> None:
    """No other number of the firmware depends on the shape, so what fits is no estimate."""
    found = fit.largest(report, library)
    assert found is not None
    with programs.build_folder() as build:
        assert scons("memory", f"n_embd={found.shape.n_embd}", f"build={build}").returncode == 0
        larger = scons("memory", f"n_embd={found.shape.n_embd + found.shape.n_head}", f"build={build}")
    assert larger.returncode == 2
    assert f"it would fit with n_embd={found.shape.n_embd}" in larger.stderr


def test_as_many_steps_as_the_chip_has_room_for(scons: Callable[..., Completed], programs: Programs) -> None:
    """The order of documents grows with the steps."""
    with programs.build_folder() as build:
        words = ("memory", "n_embd=40", f"build={build}")
        refused = scons(*words, "steps=30000")
        assert refused.returncode == 2
        said = " ".join(refused.stderr.split())  # it is wrapped
        assert "make n_embd or steps smaller" in said
        (steps,) = re.findall(r"it would fit with .*steps=(\d+)", said)
        assert scons(*words, f"steps={steps}").returncode == 0
        assert scons(*words, f"steps={int(steps) + 2}").returncode == 2, "there were no more: a word holds two"


def test_default_options_leave_room_for_every_document(scons: Callable[..., Completed], programs: Programs) -> None:
    with programs.build_folder() as build:
        for steps in (1200, 30_000):
            assert scons("memory", f"steps={steps}", f"build={build}").returncode == 0


def test_scons_fit_prints_the_largest_for_several_numbers_of_layers(
    scons: Callable[..., Completed], report: memory.Report, programs: Programs
) -> None:
    with programs.build_folder() as build:
        result = scons("fit", "n_layer=2", f"build={build}")
    assert result.returncode == 0, result.stderr
    assert f"largest n_embd in {sum(report.plan['banks'].values()):,} bytes, n_head=4 block_size=16" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    widths = [int(row[1]) for row in rows]
    assert widths == sorted(widths, reverse=True)
    assert rows[1][-1] == "<"
