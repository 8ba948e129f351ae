"""Adam's schedule: rates and units from step to step, as core/adam.c derives them."""

import ctypes
from ctypes import Structure, c_float, c_uint32, c_void_p

import numpy as np
import pytest
from conftest import Programs
from kernels import AdamStep, Call, run_host

from python_ref.model import ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON

STEPS = 3000
RATE = 0.01
LIMIT = 2.0**20


class Schedule(Structure):
    """struct adam_schedule of src_c/core/adam.h."""

    _fields_ = [
        (name, c_float)
        for name in ("gradient_scale", "scale_rest", "first_normaliser", "second_normaliser", "least_second")
    ]


@pytest.fixture(scope="module")
def library(programs: Programs) -> ctypes.CDLL:
    loaded = programs.load()
    loaded.adam_begin.restype = Schedule
    loaded.adam_next.restype = AdamStep
    loaded.adam_next.argtypes = [ctypes.POINTER(Schedule), c_uint32, c_uint32, c_float]
    loaded.adam_rescale.argtypes = [ctypes.POINTER(Schedule), c_void_p, c_void_p, c_uint32]
    loaded.adam_measure.argtypes = [ctypes.POINTER(Schedule), ctypes.POINTER(AdamStep), c_void_p, c_uint32]
    return loaded


def rescale(library: ctypes.CDLL, schedule: Schedule, first: np.ndarray, second: np.ndarray) -> None:
    library.adam_rescale(schedule, first.ctypes.data, second.ctypes.data, len(first))


def test_rates_and_units_equal_float64_through_a_rescaling(library: ctypes.CDLL) -> None:
    """Measured: 4.3e-7 of the rate at worst. The unit falls by a power of two once in these steps, after 2,759."""
    schedule = library.adam_begin()
    moments = np.ones(1, np.float32), np.ones(1, np.float32)
    rescaled = 0
    for step in range(STEPS):
        unit = ADAM_BETA2 ** (-step / 2) / LIMIT**rescaled
        first = (1 - ADAM_BETA1 ** (step + 1)) / (1 - ADAM_BETA1)
        root = ((1 - ADAM_BETA2 ** (step + 1)) / (1 - ADAM_BETA2)) ** 0.5
        constants = library.adam_next(schedule, step, STEPS, RATE)
        assert constants.gradient_scale == pytest.approx(unit, rel=1e-6)
        assert constants.rate == pytest.approx(RATE * (1 - step / STEPS) * root / first, rel=1e-6)
        assert constants.epsilon == pytest.approx(ADAM_EPSILON * root * unit, rel=1e-6)
        before = schedule.gradient_scale
        rescale(library, schedule, *moments)
        rescaled += schedule.gradient_scale != before
    assert rescaled == 1
    assert (moments[0][0], moments[1][0]) == (1 / LIMIT, 1 / LIMIT**2)


def test_a_rescaling_changes_no_bit_of_what_follows(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=50).astype(np.float32), np.abs(rng.normal(size=50)).astype(np.float32)
    plain = Schedule(LIMIT * 1.5, 0.01, 7.0, 1e13, 0.25)
    scaled = Schedule(LIMIT * 1.5, 0.01, 7.0, 1e13, 0.25)
    first_scaled, second_scaled = first.copy(), second.copy()
    rescale(library, scaled, first_scaled, second_scaled)
    assert np.array_equal(first_scaled * np.float32(LIMIT), first)
    assert np.array_equal(second_scaled * np.float32(LIMIT**2), second)
    assert scaled.least_second * np.float32(LIMIT**2) == plain.least_second
    a, b = library.adam_next(plain, 100, STEPS, RATE), library.adam_next(scaled, 100, STEPS, RATE)
    assert a.rate == b.rate
    assert (a.gradient_scale, a.epsilon) == (b.gradient_scale * LIMIT, b.epsilon * LIMIT)


def test_moments_within_range_are_left_alone(library: ctypes.CDLL) -> None:
    first = np.ones(3, np.float32)
    rescale(library, Schedule(LIMIT / 2, 0.0, 1.0, 1.0), first, first)
    assert np.array_equal(first, np.ones(3))


def test_a_step_is_all_large_while_its_bound_of_the_second_moments_lasts(library: ctypes.CDLL) -> None:
    """Second moments that do not grow, 30 times the border at step 20: they are found small when they are, later."""
    schedule = library.adam_begin()
    second = np.full(100, np.inf, np.float32)
    found = []
    for step in range(STEPS // 10):
        constants = library.adam_next(schedule, step, STEPS, RATE)
        assert not constants.all_large or second.min() >= constants.exact_below
        if step == 20:
            second[:] = 40 * constants.exact_below
            second[77] = 30 * constants.exact_below
        if step >= 20 and not constants.all_large:
            library.adam_measure(schedule, constants, second.ctypes.data, len(second))
        found.append((bool(constants.all_large), bool(second.min() >= constants.exact_below)))
    assert found[:21] == [(False, True)] * 21
    assert found[21:] == [(large, large) for _, large in found[21:]]
    assert 100 < sum(large for large, _ in found) < 270


def test_a_bound_is_not_above_the_least_second_moment(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(3)
    schedule = library.adam_begin()
    constants = library.adam_next(schedule, 0, STEPS, RATE)
    for place in (0, 1, 50, 99):
        for least in (0.0, 0.5, 2.0):
            second = rng.uniform(3, 9, 100).astype(np.float32)
            second[place] = least
            constants.exact_below = 1.0
            library.adam_measure(schedule, constants, second.ctypes.data, len(second))
            assert schedule.least_second == least


@pytest.mark.parametrize("step", [0, 40])
def test_a_step_is_adams_over_all_magnitudes_of_the_gradient(step: int, library: ctypes.CDLL) -> None:
    """From nothing through epsilon to huge, without a jump where the exact formula gives way to the fast one.

    With the same gradient at every step until now, Adam's step is rate * g / (|g| + epsilon). Measured at worst: 2.8e-6
    of the rate, where the root of the second moment is just above 1e4 epsilons; were it 1e2, 2.4e-4.
    """
    g = np.r_[0.0, np.logspace(-37, 10, 4000), -np.logspace(-37, 10, 4000)].astype(np.float32)
    first, second = np.zeros_like(g), np.zeros_like(g)
    schedule = library.adam_begin()
    for number in range(step + 1):
        constants = library.adam_next(schedule, number, STEPS, RATE)
        words = np.frombuffer(bytes(constants), np.float32)
        weights = np.zeros_like(g)
        scaled = g * np.float32(constants.gradient_scale)
        w, first, second = run_host(library, Call("adam_update", [weights, first, second, scaled, len(g), words]))[:3]
    rate = RATE * (1 - step / STEPS)
    exact = g.astype(np.float64)
    wanted = -rate * exact / (np.abs(exact) + ADAM_EPSILON)
    seen = np.abs(g) > 1e-18  # below, the square of the gradient is not a normal number
    assert np.abs(w - wanted)[seen].max() <= 3e-6 * rate
    assert np.abs(w)[~seen].max() <= 1e-8 * rate
    assert w[0] == 0
