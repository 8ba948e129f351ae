"""Power may fail at any moment of saving: what was whole before is there still, and nothing else is touched.

A model of flash (tests/flash/model.c) stops after any operation, and in the middle of any, in every way that flash
chips are known to be left in. The learner is one whose numbers all follow from its step, so a checkpoint can be judged.
"""

import ctypes
import subprocess
from collections.abc import Iterator
from enum import IntEnum
from itertools import product
from typing import NamedTuple

import pytest
from conftest import ROOT
from mgbuild.plan import toolchain
from mgbuild.plan.sources import HOST_KERNELS, sources
from microgpt import Text
from microgpt.library import Shape

SECTOR, NEVER = 4096, 0xFFFFFFFF
OFF = -1  # power has failed


class How(IntEnum):
    """enum how of the model: what is left of the operation that power failed in."""

    NOTHING, HALF, SCATTERED, FEW_WEAK, ALL_WEAK, DONE = range(6)


class Reading(IntEnum):
    """enum reading of the model: what weak bits read as."""

    ANYTHING, RIGHT_THEN_WRONG, WRONG_THEN_RIGHT = range(3)


class Error(IntEnum):
    """enum store_error of src_c/app/store.h."""

    OK, NOWHERE, TOO_SMALL, PROTECTED, FAILED = range(5)


class Cut(NamedTuple):
    """Power fails in that operation, counted from when it was on again."""

    operation: int
    how: How


class Case(NamedTuple):
    """A shape of model and the flash that its checkpoints just fit."""

    shape: tuple[int, int, int, int]
    characters: int


STEPS = 1000
SMALLEST = Case((1, 1, 1, 1), 1)
CASES = {
    "smallest": SMALLEST,  # a sector of data
    "order of odd length": Case((4, 2, 1, 4), 5),
    "several sectors": Case((8, 2, 1, 8), 9),
    "order of even length": Case((3, 1, 2, 5), 6),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = toolchain.find_host()
    library = tmp_path_factory.mktemp("flash") / "model.so"
    parts = sources("core", "math", *HOST_KERNELS, "text", "app/store.c")
    words = [*compiler.compile, "-O2", "-fPIC", "-shared", "-Wl,-Bsymbolic", f"-I{ROOT / 'src_c'}", "-o", library]
    subprocess.run([*words, ROOT / "tests/flash/model.c", *(ROOT / part for part in parts), "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.flash_cells.restype = ctypes.POINTER(ctypes.c_uint8)
    return loaded


class Machine:
    """A program that saves at steps 1, 2, ... and goes on from what it finds when power is back."""

    def __init__(self, model: ctypes.CDLL, case: Case, reading: Reading = Reading.ANYTHING, seed: int = 1) -> None:
        text = Text.of([chr(97 + number % case.characters) * (number % 3 + 1) for number in range(case.characters + 4)])
        self._image = text.image  # the model reads it where it is
        self._model = model
        assert model.run_new(self._image, len(self._image), ctypes.byref(Shape(*case.shape, 0)), STEPS)
        self.room = -(-model.run_bytes() // SECTOR) * SECTOR
        self.flash_bytes = 2 * (self.room + SECTOR)
        model.flash_new(self.flash_bytes, reading, seed)
        self.saved = 0  # the last step that was told to be saved
        self.tried: set[int] = set()  # those since, whose save power ended: what it left may be whole, now or at times

    def run(self, until: int, cut: Cut | None = None) -> bool:
        """Power on, go on from what is found, save up to a step; returns whether it came so far. A cut ends it."""
        self._model.flash_power_on(*(cut or (NEVER, How.DONE)))
        found = self.found()
        assert found in {self.saved, *self.tried}, f"found {found}, {self}"
        for step in range(found + 1, until + 1):
            self.tried.add(step)
            result = self._model.run_save(step)
            if result == OFF:
                return False
            assert result == Error.OK
            self.saved, self.tried = step, set()
        return True

    def found(self) -> int:
        """The step of the newest checkpoint; what has just read well may be weak, and is then looked for again."""
        for _ in range(20):
            found = self._model.run_newest()
            if found != -2:
                assert found >= 0, "a checkpoint that was never saved"
                return found
        raise AssertionError("what is found does not stay")

    @property
    def operations(self) -> int:
        return self._model.flash_operations()

    def __repr__(self) -> str:
        return f"saved {self.saved}, tried {self.tried}"


def check_end(machine: Machine, model: ctypes.CDLL, until: int) -> None:
    """When all is over, the last checkpoint is there, and nothing outside of the flash has changed."""
    assert machine.run(until)
    model.flash_power_on(NEVER, How.DONE)
    assert machine.found() == until
    assert model.flash_is_alone()


def cuts(operations: int) -> Iterator[Cut]:
    """Every operation, and every way to end in it."""
    yield from (Cut(operation, how) for operation, how in product(range(operations), How))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_after_any_cut_the_last_checkpoint_or_the_one_before_is_found(model: ctypes.CDLL, case: Case) -> None:
    """Every operation of three saves, every way to end in it, every reading of weak bits."""
    saves = 3
    machine = Machine(model, case)
    assert machine.run(saves)
    for reading, cut in product(Reading, cuts(machine.operations)):
        machine = Machine(model, case, reading, seed=cut.operation + 1)
        assert not machine.run(saves, cut)
        check_end(machine, model, saves + 1)


def test_after_any_two_cuts_the_last_checkpoint_or_the_one_before_is_found(model: ctypes.CDLL) -> None:
    """All pairs for two saves of the smallest model, the second cut up to the end of the save that is repeated; weak
    bits that read well once and badly then are what two cuts can do harm with."""
    saves = 2
    machine = Machine(model, SMALLEST)
    assert machine.run(saves)
    for reading, first in product(Reading, cuts(machine.operations)):
        for second in cuts(2 * machine.operations // saves + 2):
            machine = Machine(model, SMALLEST, reading, seed=first.operation * 977 + second.operation + 1)
            machine.run(saves, first)
            if not machine.run(saves + 1, second):
                check_end(machine, model, saves + 2)


def test_three_cuts_about_the_moment_at_which_a_checkpoint_begins_to_count_lose_nothing(model: ctypes.CDLL) -> None:
    """The header half written, then its slot half erased while it reads wrong, then the other, when it reads right."""
    machine = Machine(model, SMALLEST)
    assert machine.run(1)
    first_save = machine.operations
    assert machine.run(2)
    save = machine.operations
    weak = (How.SCATTERED, How.FEW_WEAK, How.ALL_WEAK)
    ends = [Cut(first_save + operation, how) for operation, how in product((save - 2, save - 1), weak)]
    begins = [Cut(operation, how) for operation, how in product(range(4), weak)]
    thirds = [Cut(operation, How.ALL_WEAK) for operation in range(save)]
    for number, (reading, first, *others) in enumerate(product(Reading, ends, begins, thirds)):
        machine = Machine(model, SMALLEST, reading, seed=number + 1)
        machine.run(2, first)
        for cut in others:
            machine.run(4, cut)
        check_end(machine, model, 5)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_any_number_of_cuts_in_a_row_lose_nothing(model: ctypes.CDLL, case: Case) -> None:
    """Forty cuts at random, none of which lets a save come to its end, and then forty more that do."""
    for seed in range(25):
        machine = Machine(model, case, Reading(seed % 3), seed + 1)
        assert machine.run(2)
        per_save = machine.operations // 2
        for number in range(80):
            operation = (seed * 31 + number * 17) % (per_save if number < 40 else 3 * per_save)
            machine.run(machine.saved + 3, Cut(operation, How((seed + number) % len(How))))
        check_end(machine, model, machine.saved + 2)


def test_a_save_writes_nothing_but_its_slot_and_a_claim(model: ctypes.CDLL) -> None:
    """The other slot's data stay bit for bit; of its last page a word goes."""
    machine = Machine(model, SMALLEST)
    assert machine.run(3)
    before = bytes(model.flash_cells()[: machine.flash_bytes])
    assert machine.run(4)
    after = bytes(model.flash_cells()[: machine.flash_bytes])
    half = machine.flash_bytes // 2
    changed = [at for at in range(half) if before[at] != after[at]]
    assert changed == [*range(half - 256, half - 252)], "step 3 is in the first slot"
    assert before[half:] != after[half:]


def test_a_byte_that_has_changed_in_the_newer_checkpoint_brings_back_the_one_before(model: ctypes.CDLL) -> None:
    """Any byte of the header, and every seventh of the rest."""
    machine = Machine(model, SMALLEST)
    assert machine.run(3)
    cells = model.flash_cells()
    for at in [*range(256), *range(256, model.run_bytes(), 7)]:
        cells[at] ^= 1 << at % 8
        assert machine.found() == 2
        cells[at] ^= 1 << at % 8
    assert machine.found() == 3


def test_forgetting_leaves_nothing(model: ctypes.CDLL) -> None:
    machine = Machine(model, SMALLEST)
    assert machine.run(3)
    assert model.run_forget() == Error.OK
    assert machine.found() == 0
    machine.saved = 0
    assert machine.run(2)
    assert machine.found() == 2


# ---- Flash that does not do what it is told --------------------------------------------------------------------------


@pytest.mark.parametrize("sector", [0, 1])
def test_a_sector_that_does_not_erase_costs_its_slot_but_no_checkpoint(model: ctypes.CDLL, sector: int) -> None:
    """Also when it is tried again, more often than there is room for claims."""
    machine = Machine(model, SMALLEST)
    assert machine.run(2)
    model.flash_break(sector, False)
    for _ in range(70):
        assert model.run_save(3) == Error.FAILED
        assert machine.found() == 2
    model.flash_break(NEVER, False)
    assert machine.run(5)


def test_protected_flash_is_told_and_keeps_what_it_has(model: ctypes.CDLL) -> None:
    machine = Machine(model, SMALLEST)
    assert machine.run(2)
    before = bytes(model.flash_cells()[: machine.flash_bytes])
    model.flash_break(NEVER, True)
    assert model.run_save(3) == Error.PROTECTED
    assert model.run_forget() == Error.PROTECTED
    assert bytes(model.flash_cells()[: machine.flash_bytes]) == before
    assert machine.found() == 2


def test_flash_that_is_too_small_is_told_and_keeps_what_it_has(model: ctypes.CDLL) -> None:
    large = Machine(model, CASES["several sectors"])
    small = Machine(model, SMALLEST)
    assert large.flash_bytes > small.flash_bytes
    assert small.run(2)
    image = Text.of(["abcdefghi"] * 3).image
    assert model.run_new(image, len(image), ctypes.byref(Shape(*CASES["several sectors"].shape, 0)), STEPS)
    assert model.run_save(3) == Error.TOO_SMALL
    assert model.run_error(0) in (0, 7) and model.run_error(1) in (0, 7), "whole, of another alphabet"


@pytest.mark.parametrize("sectors", [0, 1, 2, 3])
def test_flash_without_room_for_two_slots_is_no_place(model: ctypes.CDLL, sectors: int) -> None:
    Machine(model, SMALLEST)
    model.flash_new(sectors * SECTOR, Reading.ANYTHING, 1)
    assert model.run_save(1) == Error.NOWHERE
