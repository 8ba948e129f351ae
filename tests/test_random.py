"""Python's random numbers: the same draws as CPython's random module, for any integer seed."""

import ctypes
import random
from ctypes import Structure, c_bool, c_float, c_uint16, c_uint32

import numpy as np
import pytest
from conftest import Programs
from hypothesis import given
from hypothesis import strategies as st

SEEDS = st.one_of(st.integers(0, 2**32 - 1), st.integers(-(2**70), 2**200), st.sampled_from([0, 1, -1, 2**32, 2**64]))

# In units in the last place of the exact value: angle, logarithm, root and product are rounded once or twice each.
# Measured over 20,000 draws: 2.6 at worst.
GAUSS_ULP = 4


class State(Structure):
    """struct python_random of src_c/core/python_random.h."""

    _fields_ = [("state", c_uint32 * 624), ("next", c_uint32), ("has_gauss", c_bool), ("gauss", c_float)]


class PythonRandom:
    """The C generator with the interface of random.Random."""

    def __init__(self, library: ctypes.CDLL, seed: int) -> None:
        self._library, self._state = library, State()
        value = abs(seed)
        words = [value >> (32 * i) & 0xFFFFFFFF for i in range(max(1, (value.bit_length() + 31) // 32))]
        library.random_seed(ctypes.byref(self._state), (c_uint32 * len(words))(*words), len(words))

    def getrandbits(self, bits: int) -> int:
        self._library.random_bits.restype = c_uint32
        return self._library.random_bits(ctypes.byref(self._state), bits)

    def random(self) -> float:
        self._library.random_uniform.restype = c_float
        return self._library.random_uniform(ctypes.byref(self._state))

    def gauss(self, deviation: float) -> float:
        self._library.random_gauss.restype = c_float
        return self._library.random_gauss(ctypes.byref(self._state), c_float(deviation))

    def shuffled(self, length: int) -> list[int]:
        indices = (c_uint16 * length)(*range(length))
        self._library.random_shuffle(ctypes.byref(self._state), indices, length)
        return list(indices)

    def choice(self, weights: np.ndarray) -> int:
        array = weights.astype(np.float32)
        self._library.random_choice.restype = c_uint32
        return self._library.random_choice(ctypes.byref(self._state), ctypes.c_void_p(array.ctypes.data), len(array))


@pytest.fixture(scope="module")
def library(programs: Programs) -> ctypes.CDLL:
    return programs.load()


@given(SEEDS, st.lists(st.integers(1, 32), min_size=1, max_size=700))
def test_bits_equal_for_any_seed_and_past_the_first_refill(library: ctypes.CDLL, seed: int, bits: list[int]) -> None:
    ours, theirs = PythonRandom(library, seed), random.Random(seed)
    assert [ours.getrandbits(b) for b in bits] == [theirs.getrandbits(b) for b in bits]


def test_bits_equal_far_down_the_sequence(library: ctypes.CDLL) -> None:
    ours, theirs = PythonRandom(library, 42), random.Random(42)
    assert all(ours.getrandbits(32) == theirs.getrandbits(32) for _ in range(10_000))


@given(SEEDS)
def test_uniform_is_the_nearest_float32(library: ctypes.CDLL, seed: int) -> None:
    ours, theirs = PythonRandom(library, seed), random.Random(seed)
    for _ in range(20):
        wanted = theirs.random()
        assert abs(ours.random() - wanted) <= np.spacing(np.float32(wanted)) * 0.51


@given(SEEDS)
def test_gauss_follows_and_caches_its_second_value(library: ctypes.CDLL, seed: int) -> None:
    ours, theirs = PythonRandom(library, seed), random.Random(seed)
    for draws in range(41):
        wanted = theirs.gauss(0, 0.08)
        assert abs(ours.gauss(0.08) - wanted) <= GAUSS_ULP * np.spacing(np.float32(abs(wanted)))
        if draws % 7 == 3:  # what lies between must not disturb the cached value
            assert ours.getrandbits(16) == theirs.getrandbits(16)


def test_twenty_thousand_gauss_draws(library: ctypes.CDLL) -> None:
    ours, theirs = PythonRandom(library, 7), random.Random(7)
    wanted = np.array([theirs.gauss(0, 1) for _ in range(20_000)])
    got = np.array([ours.gauss(1.0) for _ in range(20_000)])
    assert (np.abs(got - wanted) / np.spacing(np.abs(wanted).astype(np.float32))).max() <= GAUSS_ULP


@given(SEEDS, st.integers(1, 3000))
def test_shuffles_are_equal(library: ctypes.CDLL, seed: int, length: int) -> None:
    theirs, indices = random.Random(seed), list(range(length))
    theirs.shuffle(indices)
    assert PythonRandom(library, seed).shuffled(length) == indices


@pytest.mark.parametrize("length", [32_033, 65_535])
def test_a_data_set_is_shuffled_equally(library: ctypes.CDLL, length: int) -> None:
    theirs, indices = random.Random(42), list(range(length))
    theirs.shuffle(indices)
    assert PythonRandom(library, 42).shuffled(length) == indices


@given(SEEDS, st.lists(st.integers(0, 1000), min_size=1, max_size=60).filter(any))
def test_choices_are_equal(library: ctypes.CDLL, seed: int, weights: list[int]) -> None:
    """Sums of these weights are exact in float32, so only a draw within 2^-24 of a boundary could differ."""
    ours, theirs = PythonRandom(library, seed), random.Random(seed)
    array = np.array(weights, np.float32)
    for _ in range(10):
        assert ours.choice(array) == theirs.choices(range(len(weights)), weights=weights)[0]
