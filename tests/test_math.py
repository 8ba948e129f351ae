"""The elementary functions of src_c/math: within one unit in the last place of the correctly rounded result."""

import ctypes
import math
from collections.abc import Callable, Iterable
from ctypes import POINTER, c_float

import mpmath
import numpy as np
import pytest
from conftest import Programs

from python_ref import vectors

SAMPLES = 40_000


@pytest.fixture(scope="module")
def library(programs: Programs) -> ctypes.CDLL:
    loaded = programs.load()
    for name in ("exp32", "log32", "rsqrt32", "sqrt32", "reciprocal32", "divide32"):
        function = getattr(loaded, name)
        function.restype = c_float
        function.argtypes = [c_float] * (2 if name == "divide32" else 1)
    loaded.sin_cos_quarter.argtypes = [c_float, POINTER(c_float), POINTER(c_float)]
    return loaded


def sine(library: ctypes.CDLL, x: float) -> float:
    s, c = c_float(), c_float()
    library.sin_cos_quarter(x, s, c)
    return s.value


def cosine(library: ctypes.CDLL, x: float) -> float:
    s, c = c_float(), c_float()
    library.sin_cos_quarter(x, s, c)
    return c.value


def between(low: float, high: float, count: int = SAMPLES) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, count).astype(np.float32)


def magnitudes(low: int, high: int, count: int = SAMPLES) -> np.ndarray:
    """Numbers from 2^low to 2^high, evenly over the exponents, and the powers of two with their neighbours."""
    powers = 2.0 ** np.arange(low + 1, high)
    spread = 2.0 ** np.random.default_rng(0).uniform(low, high, count)
    edges = [np.nextafter(powers.astype(np.float32), np.float32(side)) for side in (0, np.inf)]
    return np.r_[spread, powers, *edges].astype(np.float32)


def worst(got: Iterable[float], wanted: Iterable[float]) -> float:
    """Largest distance from the exact result, in units in the last place of the float32 nearest to it."""
    exact = np.array(list(wanted), np.float64)
    return float(np.max(np.abs(np.array(list(got), np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))))


def quarter(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: function(x * math.pi / 2)


# Function, exact function, arguments, bound in ulp. Measured at worst, in this order: 0.978, 0.855, 0.716, 0.681,
# 0.500, 0.649 (near 2^-126, where the residue underflows; else 0.500), 0.500, 0.700, 0.644.
CASES = {
    "exp": ("exp32", math.exp, np.r_[between(-80, 88), np.float32([-80, -0.0, 0, 88])], 1),
    "exp near 0": ("exp32", math.exp, np.r_[between(-1, 1), magnitudes(-140, -1), -magnitudes(-140, -1)], 1),
    "log near 1": ("log32", math.log, np.r_[between(0.25, 4), 1 + between(-1e-3, 1e-3, 9999)], 0.9),
    "log": ("log32", math.log, magnitudes(-126, 127), 0.9),
    "rsqrt": ("rsqrt32", lambda x: x**-0.5, magnitudes(-126, 127), 0.501),
    "sqrt": ("sqrt32", math.sqrt, magnitudes(-126, 127), 0.7),
    "reciprocal": ("reciprocal32", lambda x: 1 / x, magnitudes(-125, 125), 0.501),
    "sin": (sine, quarter(math.sin), np.r_[between(0, 0.5), magnitudes(-60, -1)], 0.8),
    "cos": (cosine, quarter(math.cos), np.r_[between(0, 0.5), magnitudes(-60, -1)], 0.8),
}


@pytest.mark.parametrize("name", CASES)
def test_within_one_unit_in_the_last_place(name: str, library: ctypes.CDLL) -> None:
    function, exact, arguments, bound = CASES[name]
    arguments = arguments[arguments != 1] if name.startswith("log") else arguments
    call = getattr(library, function) if isinstance(function, str) else lambda x: function(library, x)
    values = [float(x) for x in arguments]
    assert worst(map(call, values), map(exact, values)) <= bound


def test_division_is_correctly_rounded(library: ctypes.CDLL) -> None:
    a, b = magnitudes(-30, 30), np.random.default_rng(1).permutation(magnitudes(-30, 30))
    got = np.array([library.divide32(float(x), float(y)) for x, y in zip(a, b, strict=True)], np.float32)
    assert np.array_equal(got, a / b)


def test_exact_results_are_exact(library: ctypes.CDLL) -> None:
    assert library.exp32(0.0) == 1
    assert library.log32(1.0) == 0
    assert library.sqrt32(0.0) == 0
    for power in range(-60, 61, 2):
        assert library.sqrt32(2.0**power) == 2.0 ** (power // 2)
        assert library.rsqrt32(2.0**power) == 2.0 ** (-power // 2)
        assert library.reciprocal32(2.0**power) == 2.0**-power
    assert (sine(library, 0.0), cosine(library, 0.0)) == (0, 1)


def test_exp_saturates_where_its_contract_says(library: ctypes.CDLL) -> None:
    for low in (-80.5, -1000.0, -3e38, -math.inf):
        assert library.exp32(low) == library.exp32(-80.0)
    for high in (88.5, 1000.0, math.inf):
        assert library.exp32(high) == library.exp32(88.0)
    assert math.isfinite(library.exp32(88.0))


def test_log_of_a_sum_keeps_what_float32_would_lose(library: ctypes.CDLL) -> None:
    """log(1 - u) for tiny u, as the random numbers need it."""
    library.log32_sum.restype = c_float
    library.log32_sum.argtypes = [c_float, c_float]
    for u in (2.0**-25, 2.0**-40, 2.0**-53, 1.5 * 2.0**-30):
        assert library.log32_sum(1.0, -u) == np.float32(float(mpmath.log1p(-mpmath.mpf(u))))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("exp", "exp32"),
        ("log", "log32"),
        ("sqrt", "sqrt32"),
        ("rsqrt", "rsqrt32"),
        ("reciprocal", "reciprocal32"),
        ("sin_quarter", sine),
        ("cos_quarter", cosine),
    ],
)
def test_vectors_of_correctly_rounded_results(name: str, function: object, library: ctypes.CDLL) -> None:
    table = vectors.load("math")[name]
    call = getattr(library, function) if isinstance(function, str) else lambda x: function(library, x)
    got = np.array([call(float(x)) for x in table["x"]], np.float32)
    assert (np.abs(got - table["y"]) <= np.spacing(np.abs(table["y"]))).all()
