"""What fits: the computed size of the arrays is that of the linked firmware, to the byte."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Completed, Programs
from learner import options
from mgbuild.firmware import fit, memory
from mgbuild.plan.shape import Shape

NUM_DOCS = 32033
SHAPES = [
    Shape(16, 4, 1, 16, 27),
    Shape(8, 2, 1, 16, 27),  # the shuffle is larger than the training
    Shape(20, 5, 3, 16, 27),
    Shape(24, 3, 2, 12, 27),
    Shape(4, 4, 2, 64, 27),  # scores dominate
    Shape(16, 4, 1, 2, 27),  # the rows of gradient that are summed at a time dominate
    Shape(16, 1, 1, 48, 27),
    Shape(40, 5, 1, 32, 27),  # beyond the chip
    Shape(96, 4, 2, 16, 27),
]


@pytest.fixture(scope="session")
def measured(programs: Programs) -> Callable[[Shape], memory.Report]:
    """Function from a shape to the report of its firmware, whether it fits or not."""
    return lambda shape: memory.read(programs.product("esp32/candidate/memory.json", **options(shape)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_arena_is_as_large_as_computed(shape: Shape, measured: Callable[[Shape], memory.Report]) -> None:
    report = measured(shape)
    (arena,) = (symbol.bytes for symbol in report.symbols if symbol.name == "arena")
    assert fit.arena_bytes(shape, NUM_DOCS) == arena
    assert fit.arena_bytes(shape, NUM_DOCS) + fit.overhead(report) == report.static_ram


def test_what_a_firmware_takes_besides_hardly_depends_on_the_shape(
    measured: Callable[[Shape], memory.Report],
) -> None:
    """Up to the padding between variables, and the stack."""
    reports = [measured(shape) for shape in SHAPES]
    stacks = [report.stack["stack_size"] for report in reports]
    others = [fit.overhead(report) - size for report, size in zip(reports, stacks, strict=True)]
    assert max(others) - min(others) <= 64
    assert max(stacks) - min(stacks) <= fit.STACK_VARIATION - 64


def test_the_largest_fits_and_the_next_does_not(
    scons: Callable[..., Completed], measured: Callable[[Shape], memory.Report], tmp_path: Path
) -> None:
    shape = Shape(16, 4, 1, 16, 27)
    found = fit.largest(shape, NUM_DOCS, measured(shape))
    assert found is not None
    words = (f"n_embd={found.shape.n_embd}", f"build={tmp_path / 'out'}")
    assert scons("memory", *words).returncode == 0
    larger = scons("memory", f"n_embd={found.shape.n_embd + shape.n_head}", f"build={tmp_path / 'out'}")
    assert larger.returncode == 2
    assert f"it would fit with n_embd={found.shape.n_embd}" in larger.stderr


def too_large(report: memory.Report, **options: int) -> memory.Report:
    """A report of the same firmware with other options, and with as much RAM as they take."""
    record = {**report.made_from, "options": {**report.made_from["options"], **options}, "changed": options}
    shape, documents = fit.model(replace(report, made_from=record))
    used = fit.arena_bytes(shape, documents) + fit.overhead(report)
    regions = tuple(replace(region, used=used) if region.name == "dram" else region for region in report.regions)
    return replace(report, made_from=record, regions=regions)


def test_the_nearest_shapes_that_fit_fit(measured: Callable[[Shape], memory.Report]) -> None:
    report = measured(SHAPES[0])
    shape = Shape(24, 4, 3, 16, 27)
    sentence = fit.nearest(too_large(report, n_embd=24, n_layer=3))
    assert sentence.startswith("it would fit with ")
    for choice in sentence.removeprefix("it would fit with ").split(" or "):
        name, value = choice.split("=")
        smaller = replace(shape, **{name: int(value)})
        assert fit.arena_bytes(smaller, NUM_DOCS) + fit.overhead(report) + fit.STACK_VARIATION <= fit.capacity(report)
    assert "nothing fits" in fit.nearest(too_large(report, n_embd=512, n_head=512))


def test_as_many_steps_as_the_chip_has_room_for(scons: Callable[..., Completed], tmp_path: Path) -> None:
    """The order of documents grows with the steps; three builds."""
    words = ("memory", "n_embd=24", f"build={tmp_path / 'out'}")
    refused = scons(*words, "steps=30000")
    assert refused.returncode == 2
    assert "make n_embd or steps smaller" in refused.stderr
    (steps,) = re.findall(r"it would fit with .*steps=(\d+)", refused.stderr)
    assert scons(*words, f"steps={steps}").returncode == 0
    more = int(steps) + 2 * fit.ALIGNMENT // fit.ORDER_ENTRY
    assert scons(*words, f"steps={more}").returncode == 2, "there were no more to have"


def test_scons_fit_prints_the_largest_for_several_numbers_of_layers(
    scons: Callable[..., Completed], tmp_path: Path
) -> None:
    result = scons("fit", "n_layer=2", f"build={tmp_path / 'out'}")
    assert result.returncode == 0, result.stderr
    assert "largest n_embd in 196,608 bytes, n_head=4 block_size=16" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    widths = [int(row[1]) for row in rows]
    assert widths == sorted(widths, reverse=True)
    assert rows[1][-1] == "<"
