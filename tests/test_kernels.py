"""The plain kernels, which define the bits, against the vectors and against an exact emulation of their contract."""

import ctypes
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from conftest import Programs
from kernels import AdamStep, Call, matmul_sizes, rmsnorm_sizes, run_host, softmax_sizes

from python_ref import vectors
from python_ref.model import ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON

EPSILON = 2.0**-24  # half an ulp: the relative error of one float32 operation
TINY = np.finfo(np.float32).tiny  # what a sum of denormal terms may err by
GUARD = np.float32(-7.25e11)

Run = Callable[..., list[np.ndarray]]


@pytest.fixture(scope="module")
def library(programs: Programs) -> ctypes.CDLL:
    return programs.load_plain()


@pytest.fixture(scope="module")
def run(library: ctypes.CDLL) -> Run:
    """Function from a kernel's name and arguments to its arrays afterwards."""
    return lambda kernel, *arguments: run_host(library, Call(kernel, arguments))


def padded(values: np.ndarray, extra: int = 3) -> np.ndarray:
    """Rows with guard words behind each, and a row of them at the end."""
    rows, columns = values.shape
    out = np.full((rows + 1, columns + extra), GUARD, np.float32)
    out[:rows, :columns] = values
    return out


def unpadded(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """What `padded` held; the guard words must be as they were."""
    assert (array[rows:] == GUARD).all() and (array[:, columns:] == GUARD).all(), "wrote outside the matrix"
    return array[:rows, :columns]


def fused(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
    """a * b + c, rounded once, by exact arithmetic."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(exact))  # may be one ulp off, for it was rounded twice
    candidates = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    return min(candidates, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.uint32)) & 1))


def active_words(nonzero: np.ndarray) -> np.ndarray:
    """Which positions of [positions, units] are active: position k of unit c is bit 31 - k % 32 of [k // 32, c]."""
    positions, units = nonzero.shape
    bits = np.zeros((-(-positions // 32) * 32, units), np.uint64)
    bits[:positions] = nonzero
    weights = (np.uint64(1) << np.arange(31, -1, -1, dtype=np.uint64))[:, None]
    return (bits.reshape(-1, 32, units) * weights).sum(1).astype(np.uint32)


def every_position(positions: int) -> np.ndarray:
    """The words of a unit that is active everywhere, as a column."""
    return active_words(np.ones((positions, 1), bool))


def chain(pairs: list[tuple[np.float32, np.float32]], start: np.float32 | None = None) -> np.float32:
    """The contract's sum: fused multiply-adds in this order, from `start` or the plain product of the first pair."""
    if start is None:
        start, pairs = np.float32(pairs[0][0] * pairs[0][1]), pairs[1:]
    for a, b in pairs:
        start = fused(a, b, start)
    return start


def draw(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *size]).normal(size=size).astype(np.float32)


def assert_sums_close(got: np.ndarray, wanted: np.ndarray, depth: int, magnitude: np.ndarray) -> None:
    """Within the bound of a chain of `depth` roundings of terms that add up to at most `magnitude`."""
    assert (np.abs(got - wanted) <= (depth + 1) * EPSILON * magnitude).all()


@pytest.mark.parametrize("case", vectors.load("matmul")["cases"], ids=lambda case: str(case["y"].shape))
def test_products_equal_the_vectors(case: dict[str, Any], run: Run) -> None:
    x, w, dy, start = case["x"], case["w"], case["dy"], case["start"]
    (rows, depth), columns = x.shape, len(w)
    forward = matmul_sizes(columns, depth, columns + 3, depth + 3, depth + 3)
    y = run("matmul_nt", padded(np.zeros_like(start)), padded(x), padded(w), rows, forward)[0]
    magnitude = np.abs(x) @ np.abs(w).T
    assert_sums_close(unpadded(y, rows, columns), case["y"], depth, magnitude)
    for kernel in ("matmul_nt_add", "matmul_nt_add_sparse"):
        y = run(kernel, padded(start), padded(x), padded(w), rows, forward)[0]
        assert_sums_close(unpadded(y, rows, columns), case["y_added"], depth + 1, magnitude + np.abs(start))

    backward = matmul_sizes(depth, columns, depth + 3, columns + 3, depth + 3)
    for kernel in ("matmul_nn", "matmul_nn_sparse"):
        dx = run(kernel, padded(np.zeros_like(x)), padded(dy), padded(w), rows, backward)[0]
        assert_sums_close(unpadded(dx, rows, depth), case["dx"], columns, np.abs(dy) @ np.abs(w))

    gradient = matmul_sizes(depth, rows, depth + 3, columns + 3, depth + 3)
    every = every_position(rows)
    for kernel, arguments in (
        ("matmul_tn", (columns, rows, gradient)),
        ("matmul_tn_sparse", (np.full((len(every), columns + 3), every), columns, gradient)),
        ("matmul_tn_sparse_w", (np.full((len(every), depth + 3), every), columns, gradient)),
    ):
        dw = run(kernel, padded(np.zeros_like(w)), padded(dy), padded(x), *arguments)[0]
        assert_sums_close(unpadded(dw, columns, depth), case["dw"], rows, np.abs(dy).T @ np.abs(x))


@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 1, 1), (3, 5, 7), (4, 9, 16), (9, 17, 4)])
def test_products_are_chains_in_ascending_order(rows: int, columns: int, depth: int, run: Run) -> None:
    x, w, start = draw(rows, depth), draw(columns, depth), draw(rows, columns)
    pairs = [[list(zip(x[r], w[c], strict=True)) for c in range(columns)] for r in range(rows)]
    shape = matmul_sizes(columns, depth, columns, depth, depth)
    y = run("matmul_nt", np.zeros_like(start), x, w, rows, shape)[0]
    assert np.array_equal(y, [[chain(pairs[r][c]) for c in range(columns)] for r in range(rows)])
    y = run("matmul_nt_add", start, x, w, rows, shape)[0]
    added = [[chain(pairs[r][c], start[r, c]) for c in range(columns)] for r in range(rows)]
    assert np.array_equal(y, added)

    transposed = np.ascontiguousarray(w.T)
    shape = matmul_sizes(columns, depth, columns, depth, columns)
    y_nn = run("matmul_nn", np.zeros_like(start), x, transposed, rows, shape)[0]
    y_nt = run("matmul_nt", np.zeros_like(start), x, w, rows, matmul_sizes(columns, depth, columns, depth, depth))[0]
    assert np.array_equal(y_nn, y_nt)
    shape = matmul_sizes(columns, 0, columns, rows, columns)
    y_tn = run("matmul_tn", np.zeros_like(start), np.ascontiguousarray(x.T), transposed, rows, depth, shape)[0]
    assert np.array_equal(y_tn, y_nt)


def test_sparse_products_leave_out_zeros_and_nothing_else(run: Run) -> None:
    """Infinite weights beside zeros would make NaN of every sum if a zero were multiplied."""
    rows, columns, depth = 6, 16, 24
    x = np.where(np.random.default_rng(1).random((rows, depth)) < 0.2, draw(rows, depth), np.float32(0))
    x[:, 5] = 0
    w, start = draw(columns, depth), draw(rows, columns)
    trap = w.copy()
    trap[:, 5] = np.inf
    forward = matmul_sizes(columns, depth, columns, depth, depth)
    dense = run("matmul_nt_add", start, x, w, rows, forward)[0]
    assert np.array_equal(run("matmul_nt_add_sparse", start, x, trap, rows, forward)[0], dense)

    backward = matmul_sizes(columns, depth, columns, depth, columns)
    dense = run("matmul_nn", start, x, np.ascontiguousarray(w.T), rows, backward)[0]
    assert np.array_equal(run("matmul_nn_sparse", start, x, np.ascontiguousarray(trap.T), rows, backward)[0], dense)

    gradient = matmul_sizes(columns, depth, columns, rows, columns)
    xt = np.ascontiguousarray(x.T)
    wt = np.ascontiguousarray(w.T)
    dense = run("matmul_tn", start, xt, wt, rows, depth, gradient)[0]
    trap = np.where(xt.any(1, keepdims=True), wt, np.inf).astype(np.float32)
    assert np.array_equal(run("matmul_tn_sparse", start, xt, trap, active_words(xt != 0), rows, gradient)[0], dense)
    swapped = matmul_sizes(rows, depth, rows, columns, rows)
    dense = run("matmul_tn", start, wt, xt, columns, depth, swapped)[0]
    assert np.array_equal(run("matmul_tn_sparse_w", start, trap, xt, active_words(xt != 0), columns, swapped)[0], dense)

    active = np.random.default_rng(2).random((rows, columns)) < 0.4
    dense = run("matmul_nn", start, x, np.ascontiguousarray(w.T), rows, backward)[0]
    masked = run("matmul_nn_masked", start, x, np.ascontiguousarray(w.T), active_words(active), rows, backward)[0]
    assert np.array_equal(masked, np.where(active, dense, np.float32(0)))


@pytest.mark.parametrize("case", vectors.load("attention")["cases"], ids=lambda case: str(case["q"].shape))
def test_attention_equals_the_vectors(case: dict[str, Any], run: Run) -> None:
    q, k, v, d_mixed = (case[name] for name in ("q", "k", "v", "d_mixed"))
    positions, size = q.shape
    scale = np.float32(size**-0.5)
    triangle = np.tril(np.ones((positions, positions), bool))
    blank = np.full((positions, positions), GUARD, np.float32)
    to_scores = matmul_sizes(0, size, positions, size, size)
    to_mix = matmul_sizes(size, 0, size, positions, size)
    rows = (positions, 1, softmax_sizes(positions, 1))

    # First-order bounds from float64: a chain of n products errs by n roundings of the terms' magnitudes, besides what
    # its inputs err by, and exp32 and reciprocal32 by one unit in the last place, which is two EPSILON, each.
    p = np.where(triangle, case["probabilities"], 0)
    spread = np.where(triangle, case["scores"].max(axis=1, keepdims=True) - case["scores"], 0).max()
    score_error = (size + 2) * EPSILON * scale * (np.abs(q) @ np.abs(k).T)  # scale is rounded, and multiplied with
    p_error = p * (2 * np.where(triangle, score_error, 0).max() + (positions + 8 + 2 * spread) * EPSILON)
    g, g_error = d_mixed.astype(np.float64) @ v.T, size * EPSILON * (np.abs(d_mixed) @ np.abs(v).T)
    dot, dot_terms = (g * p).sum(axis=1, keepdims=True), (np.abs(g) * p).sum(axis=1, keepdims=True)
    dot_error = (g_error * p + np.abs(g) * p_error).sum(axis=1, keepdims=True) + positions * EPSILON * dot_terms
    d_scores_error = scale * (p * (g_error + dot_error) + (p_error + 4 * EPSILON * p) * np.abs(g - dot))

    def assert_within(got: np.ndarray, wanted: np.ndarray, bound: np.ndarray) -> None:
        assert (np.abs(got - wanted) <= 1.01 * bound + TINY).all()

    def assert_mixed(got: np.ndarray, wanted: np.ndarray, x: np.ndarray, x_error: np.ndarray, w: np.ndarray) -> None:
        """A product x w over the positions."""
        assert_within(got, wanted, (x_error + positions * EPSILON * np.abs(x)) @ np.abs(w))

    scores = run("causal_nt", blank, q, k, 0, positions, to_scores)[0]
    assert (scores[~triangle] == GUARD).all()
    assert_within((scores * np.float64(scale))[triangle], case["scores"][triangle], score_error[triangle])
    probabilities = run("softmax", scores, *rows, scale, np.float32(1))[0]
    assert (probabilities[~triangle] == GUARD).all()
    assert_within(probabilities[triangle], p[triangle], p_error[triangle])
    mixed = run("causal_nn", np.zeros_like(q), probabilities, v, 0, positions, to_mix)[0]
    assert_mixed(mixed, case["mixed"], p, p_error, v)

    dv = run("causal_tn", np.zeros_like(q), probabilities, d_mixed, positions, to_mix)[0]
    assert_mixed(dv, case["dv"], p.T, p_error.T, d_mixed)
    d_scores = run("causal_nt", blank, d_mixed, v, 0, positions, to_scores)[0]
    d_scores = run("softmax_backward", d_scores, probabilities, *rows, scale)[0]
    assert (d_scores[~triangle] == GUARD).all()
    exact = case["d_scores"] * size**-0.5
    assert_within(d_scores[triangle], exact[triangle], d_scores_error[triangle])
    dq = run("causal_nn", np.zeros_like(q), d_scores, k, 0, positions, to_mix)[0]
    dk = run("causal_tn", np.zeros_like(q), d_scores, q, positions, to_mix)[0]
    assert_mixed(dq, case["dq"], exact, d_scores_error, k)
    assert_mixed(dk, case["dk"], exact.T, d_scores_error.T, q)


@pytest.mark.parametrize("case", vectors.load("rmsnorm")["cases"], ids=lambda case: str(case["x"].shape))
def test_rmsnorm_equals_the_vectors(case: dict[str, Any], run: Run) -> None:
    x, dy = case["x"], case["dy"]
    rows, width = x.shape
    shape = rmsnorm_sizes(width)
    y, scale = run("rmsnorm", np.zeros_like(x), np.zeros(rows, np.float32), x, rows, shape)[:2]
    np.testing.assert_allclose(y, case["y"], rtol=(width + 4) * EPSILON)
    np.testing.assert_allclose(scale, case["scale"], rtol=(width + 3) * EPSILON)
    assert np.array_equal(run("rmsnorm", x, scale, x, rows, shape)[2], x)
    before = draw(rows, width, seed=5)
    dx = run("rmsnorm_backward", before, dy, y, scale, rows, shape)[0]
    largest = np.abs(case["dx"]).max() + np.abs(before).max() + np.abs(dy * scale[:, None]).max()
    np.testing.assert_allclose(dx, before + case["dx"], atol=(width + 4) * EPSILON * largest)


@pytest.mark.parametrize("case", vectors.load("softmax")["forward"], ids=lambda case: str(len(case["x"])))
def test_softmax_equals_the_vectors(case: dict[str, Any], run: Run) -> None:
    """The rounding of the largest difference, up to 120, dominates: half an ulp of it, times e."""
    x = case["x"]
    row = (1, len(x), softmax_sizes(len(x)))
    y = run("softmax", x, *row, np.float32(1), np.float32(1))[0]
    spread = float(x.max() - x.min())
    np.testing.assert_allclose(y, case["y"], rtol=(len(x) + 8 + spread) * EPSILON, atol=2e-35)
    halved = run("softmax", x * np.float32(2), *row, np.float32(0.5), np.float32(0.25))[0]
    assert np.array_equal(halved, y * np.float32(0.25))


@pytest.mark.parametrize("case", vectors.load("softmax")["backward"], ids=lambda case: str(len(case["y"])))
def test_softmax_backward_equals_the_vectors(case: dict[str, Any], run: Run) -> None:
    y, dy = case["y"], case["dy"]
    dx = run("softmax_backward", dy, y, 1, len(y), softmax_sizes(len(y)), np.float32(0.5))[0]
    np.testing.assert_allclose(dx, 0.5 * case["dx"], atol=(len(y) + 3) * EPSILON * np.abs(dy).max())


def test_relu_equals_the_vectors_and_makes_no_negative_zero(run: Run) -> None:
    case = vectors.load("relu")
    x = case["x"].reshape(-1, 1)
    y, words = run("relu", x, np.full_like(every_position(len(x)), 0xFFFFFFFF), len(x), 1)
    assert np.array_equal(y.ravel(), case["y"])
    assert not np.signbit(y).any()
    assert np.array_equal(words, active_words(y != 0))


def test_relu_notes_what_it_lets_through(run: Run) -> None:
    x = draw(70, 5)
    y, words = run("relu", x, np.full((3, 5), 0x5A5A5A5A, np.uint32), 70, 5)
    assert np.array_equal(y, np.maximum(x, 0))
    assert np.array_equal(words, active_words(x > 0))


def test_vectors_are_added_and_zeroed(run: Run) -> None:
    a, b = draw(13), draw(13, seed=1)
    assert np.array_equal(run("vector_add", np.zeros(13, np.float32), a, b, 13)[0], a + b)
    zeroed = run("vector_zero", a, 11)[0]
    assert not zeroed[:11].any() and np.array_equal(zeroed[11:], a[11:])


GROWTH = ADAM_BETA2**-0.5  # of the unit of gradients and moments, from step to step


def adam_constants(step: int, rate: float, unit: float = 1) -> np.ndarray:
    """struct adam_step as core/adam.c derives it, in float64; step counts from 0, unit is that of its gradients."""
    first = (1 - ADAM_BETA1 ** (step + 1)) / (1 - ADAM_BETA1)
    root = ((1 - ADAM_BETA2 ** (step + 1)) / (1 - ADAM_BETA2)) ** 0.5
    scaled = rate * root / first
    epsilon = ADAM_EPSILON * root * unit
    rsqrt_scale, rsqrt_root_e, fast_ratio = -float.fromhex("0x1.63632ap-1"), 0.8923, 1e4
    constants = AdamStep(
        gradient_scale=unit,
        first_decay=ADAM_BETA1 * GROWTH,
        rate=scaled,
        epsilon=epsilon,
        scaled_rate=-scaled * rsqrt_scale,
        lifted_epsilon=2 * rsqrt_root_e * epsilon,
        exact_below=(fast_ratio * epsilon) ** 2,
    )
    return np.frombuffer(bytes(constants), np.float32)


# The share of its step by which one update may differ from float64: measured 2.7e-6 at worst, where the root of the
# second moment is just above 1e4 epsilons, and 1.5e-7 below that. Besides, the weight itself is rounded.
ADAM_TOLERANCE = 3e-6


@pytest.mark.parametrize("case", vectors.load("adam")["cases"], ids=lambda case: str(case["first_step"]))
def test_adam_equals_the_vectors_from_zero_and_tiny_moments(case: dict[str, Any], run: Run) -> None:
    w = case["w"]
    first = (case["first"] / (1 - ADAM_BETA1) / GROWTH).astype(np.float32)
    second = (case["second"] / (1 - ADAM_BETA2) / GROWTH**2).astype(np.float32)
    after = case["after"]
    for index, (gradient, rate) in enumerate(zip(case["gradients"], case["rates"], strict=True)):
        unit = GROWTH**index
        constants = adam_constants(case["first_step"] + index, rate, unit)
        scaled = (gradient * unit).astype(np.float32)
        w, first, second = run("adam_update", w, first, second, scaled, len(w), constants)[:3]
        assert np.isfinite(w).all()
        travelled = rate * 4 * (index + 1)  # no step of Adam is longer than a few rates
        tolerance = (index + 1) * EPSILON * np.abs(w) + ADAM_TOLERANCE * travelled
        assert (np.abs(w - after["w"][index]) <= tolerance).all()
        largest = np.maximum(np.abs(case["gradients"]).max(axis=0), np.abs(case["first"]))
        difference = np.abs(first * (1 - ADAM_BETA1) / unit - after["first"][index])
        assert (difference <= 12 * EPSILON * largest + 1e-30).all()
        np.testing.assert_allclose(second * (1 - ADAM_BETA2) / unit**2, after["second"][index], rtol=2e-6, atol=1e-42)
