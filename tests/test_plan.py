"""The memory plan: the rule of src_c/core/plan.h, and what must hold whatever the rule."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, Programs, examples
from hypothesis import example, given
from hypothesis import strategies as st
from microgpt import Error, Plan, plan

from python_ref.model import Shape

FLOAT = 4
GIGABYTE = 2**30


@dataclass(frozen=True)
class Request:
    """What a plan follows from."""

    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    vocab_size: int
    documents: int
    steps: int


@st.composite
def requests(draw: st.DrawFn, most: int = 64) -> Request:
    heads = draw(st.integers(1, 8))
    return Request(
        n_embd=heads * draw(st.integers(1, max(1, most // heads))),
        n_head=heads,
        n_layer=draw(st.integers(1, 4)),
        block_size=draw(st.integers(1, most)),
        vocab_size=draw(st.integers(2, 256)),
        documents=draw(st.integers(1, 65535)),
        steps=draw(st.integers(1, 100_000)),
    )


@pytest.fixture(scope="module")
def library(programs: Programs) -> Path:
    return programs.library()


def make(library: Path, request: Request, banks: list[int]) -> Plan:
    return plan(banks, path=library, **vars(request))


def lives() -> dict[str, frozenset[str]]:
    """Phases of each array, read from the list that the C side compiles."""
    text = (ROOT / "src_c/core/arrays.h").read_text()
    groups = {
        name: phases.split(" | ") for name, phases in re.findall(r"^#define (\w+) \(([\w |]+)\)$", text, re.MULTILINE)
    }
    found = {}
    for name, words in re.findall(r"^    ARRAY\((\w+), \w+, .*?, ([A-Z0-9_| ]+)\)\s*\\?$", text, re.MULTILINE):
        phases = set(words.split(" | "))
        while groups.keys() & phases:
            for group in groups.keys() & phases:
                phases = phases - {group} | set(groups[group])
        found[name] = frozenset(phases)
    return found


LIVES = lives()


def by_the_rule(sizes: dict[str, int], banks: list[int]) -> dict[str, tuple[int, int]] | None:
    """Bank and offset of each array: in their order, the lowest free place of the first bank that has one."""
    places: dict[str, tuple[int, int]] = {}
    for name, size in sizes.items():
        for bank, capacity in enumerate(banks):
            taken = [
                (places[other][1], places[other][1] + sizes[other])
                for other in places
                if places[other][0] == bank and LIVES[other] & LIVES[name]
            ]
            starts = [0, *sorted(end for _, end in taken)]
            free = [
                start
                for start in starts
                if start + size <= capacity and all(start + size <= begin or end <= start for begin, end in taken)
            ]
            if free:
                places[name] = (bank, min(free))
                break
        else:
            return None
    return places


def bytes_of_structs(request: Request) -> int:
    """What nested structs and unions would take: training, with the shuffle in its place, and the order of documents.

    Scores and what ReLU lets through are there for each of two cores.
    """
    shape = Shape(request.vocab_size, request.n_layer, request.n_embd, request.n_head, request.block_size)
    width, block, vocab = request.n_embd, request.block_size, request.vocab_size
    rows, fc2_rows = 30 * width, 32 * width
    layer = block * (10 * width + 2 + request.n_head * block) + 2 * -(-block // 32) * 4 * width
    activations = block + request.n_layer * layer + max(block * width, 2 * block * block, rows)
    activations += max(block * (vocab + 1), block * width)
    gradients = block * width + max(rows, 4 * width * block + fc2_rows)
    training = FLOAT * (3 * shape.parameter_count + activations + gradients)
    order = -(-2 * min(request.steps, request.documents) // FLOAT) * FLOAT
    shuffle = -(-2 * request.documents // FLOAT) * FLOAT
    return max(training, shuffle) + order


@examples(300)
@given(requests(), st.lists(st.integers(0, 400_000), max_size=4))
def test_a_place_is_where_the_rule_says_and_a_refusal_is_where_it_finds_none(
    library: Path, request: Request, banks: list[int]
) -> None:
    found = make(library, request, banks)
    wanted = by_the_rule({array.name: array.bytes for array in found.arrays}, banks or [0])
    assert found.fits == (wanted is not None)
    if wanted is not None:
        assert {array.name: (array.bank, array.offset) for array in found.arrays} == wanted
        assert found.sentence == ""


@examples(300)
@given(requests(), st.lists(st.integers(0, 400_000), min_size=1, max_size=4))
def test_arrays_that_live_together_lie_apart_aligned_and_inside_their_bank(
    library: Path, request: Request, banks: list[int]
) -> None:
    found = make(library, request, [*banks[:3], GIGABYTE])
    assert found.fits
    for array in found.arrays:
        assert array.offset % FLOAT == 0
        assert array.offset + array.bytes <= [*banks[:3], GIGABYTE][array.bank]
        for other in found.arrays:
            if other is not array and other.bank == array.bank and LIVES[other.name] & LIVES[array.name]:
                assert array.offset + array.bytes <= other.offset or other.offset + other.bytes <= array.offset


@examples(500)
@given(requests(most=200))
@example(Request(16, 4, 1, 16, 27, 32033, 1000))
@example(Request(1, 1, 1, 1, 2, 1, 1))
@example(Request(8, 2, 1, 16, 27, 32033, 1000))
@example(Request(4, 4, 2, 64, 27, 32033, 1000))
def test_never_more_bytes_than_nested_structs_would_take(library: Path, request: Request) -> None:
    found = make(library, request, [GIGABYTE])
    assert found.extents[0] <= bytes_of_structs(request)
    assert found.bytes <= found.extents[0]


@examples(200)
@given(requests(), st.lists(st.integers(0, 200_000), min_size=1, max_size=3))
def test_what_is_missing_is_just_enough_for_the_last_bank(library: Path, request: Request, banks: list[int]) -> None:
    missing = make(library, request, banks).missing
    assert make(library, request, [*banks[:-1], banks[-1] + missing]).fits
    assert missing == 0 or not make(library, request, [*banks[:-1], banks[-1] + missing - 1]).fits


@examples(100)
@given(requests(), st.integers(0, 200_000))
def test_smaller_numbers_that_are_named_fit_and_the_next_does_not(library: Path, request: Request, bank: int) -> None:
    found = make(library, request, [bank])
    if found.fits:
        return
    for name, value in found.smaller.items():
        unit = request.n_head if name == "n_embd" else 1
        if value:
            assert make(library, Request(**{**vars(request), name: value}), [bank]).fits
            assert f"{name}={value}" in found.sentence
        if value + unit <= getattr(request, name):
            assert not make(library, Request(**{**vars(request), name: value + unit}), [bank]).fits


def test_the_default_model(library: Path) -> None:
    found = make(library, Request(16, 4, 1, 16, 27, 32033, 1000), [GIGABYTE])
    assert found.purposes == {
        "order of documents": 2000,
        "weights": 16768,
        "Adam's first moments": 16768,
        "Adam's second moments": 16768,
        "activations": 15700,
        "gradients and scratch": 6464,
    }
    assert sum(found.purposes.values()) == found.extents[0]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"n_embd": 0}, "n_embd=0 must be from 1 to 1024"),
        ({"n_embd": 2**32 - 1}, "n_embd=4294967295 must be from 1 to 1024"),
        ({"n_embd": 18}, "n_embd=18 is not divisible by n_head=4"),
        ({"n_head": 0}, "n_head=0 must be from 1 to 1024"),
        ({"n_layer": 65}, "n_layer=65 must be from 1 to 64"),
        ({"block_size": 0}, "block_size=0 must be from 1 to 1024"),
        ({"vocab_size": 257}, "vocab_size=257 must be from 2 to 256"),
        ({"vocab_size": 1}, "vocab_size=1 must be from 2 to 256"),
    ],
)
def test_a_shape_that_makes_no_model_is_a_sentence(library: Path, changed: dict[str, int], sentence: str) -> None:
    with pytest.raises(Error, match=f"^{re.escape(sentence)}$"):
        make(library, Request(**{**vars(Request(16, 4, 1, 16, 27, 32033, 1000)), **changed}), [GIGABYTE])


def test_the_largest_shape_does_not_overflow(library: Path) -> None:
    """Its attention alone is 256 GB, and its weights are 3 GB, which a 32-bit count of bytes just holds."""
    largest = Request(1024, 1024, 64, 1024, 256, 65535, 10_000_000)
    found = make(library, largest, [2**32 - 1])
    assert not found.fits
    sizes = {array.name: array.bytes for array in found.arrays}
    assert sizes["attention"] == 2**32 - 4
    weights = FLOAT * Shape(256, 64, 1024, 1024, 1024).parameter_count
    assert sizes["weights"] == weights
    assert found.smaller["n_layer"] == 0
    for memory in (0, 1, 2**31, 2**32 - 1):
        assert not make(library, largest, [memory] * 4).fits


def test_without_memory_everything_is_missing(library: Path) -> None:
    request = Request(16, 4, 1, 16, 27, 32033, 1000)
    needed = make(library, request, [GIGABYTE]).extents[0]
    assert make(library, request, []).missing == needed
    assert make(library, request, [0]).missing == needed
    assert "memory lacks" in make(library, request, [0]).sentence


@pytest.mark.parametrize(("documents", "steps", "order"), [(7, 1000, 7), (1000, 1000, 1000), (32033, 10, 10)])
def test_the_order_of_documents_is_as_long_as_training_reaches(
    library: Path, documents: int, steps: int, order: int
) -> None:
    found = make(library, Request(16, 4, 1, 16, 27, documents, steps), [GIGABYTE])
    assert found.purposes["order of documents"] == -(-2 * order // FLOAT) * FLOAT
