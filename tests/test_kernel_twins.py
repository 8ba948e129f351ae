"""Every twin of the plain kernels, which define the bits, against them: equal bits, no tolerance."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Programs
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import KERNELS, Call, matmul_shape, rmsnorm_shape, run_core, run_host

# One example is a batch of calls of one kernel, for the emulator takes longer to start than a kernel to run.
BATCH = 25
EXAMPLES = 4
SPECIAL = np.float32([0.0, -0.0, 1e-40, -1e-42, 1e-38, 3e15, -3e15, 1.0, -1.0])

Draw = np.random.Generator


def values(rng: Draw, *size: int) -> np.ndarray:
    """Numbers of one magnitude, in some arrays mixed with zeros, denormals and large ones."""
    array = rng.normal(size=size) * 10.0 ** rng.integers(-4, 4)
    if rng.random() < 0.4:
        array = np.where(rng.random(size) < 0.3, rng.choice(SPECIAL, size), array)
    return array.astype(np.float32)


def sparse(rng: Draw, *size: int) -> np.ndarray:
    return np.where(rng.random(size) < rng.random(), np.float32(0), values(rng, *size))


def size(rng: Draw) -> int:
    """Sizes of the model, of the tiles and around them; 67 is more than the sparse products take at once."""
    return int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16, 17, 27, 31, 48, 64, 67]))


def stride(rng: Draw, length: int) -> int:
    return length + int(rng.choice([0, 0, 1, 5]))


def product(kernel: str, rng: Draw) -> Call:
    rows, columns, depth = size(rng), size(rng), size(rng)
    sy = stride(rng, columns)
    fill = sparse if "sparse" in kernel else values
    y = values(rng, rows, sy)
    if kernel.startswith("matmul_tn"):
        sx, sw = stride(rng, rows), stride(rng, columns)
        shape = matmul_shape(columns, 0, sy, sx, sw)
        return Call(kernel, [y, fill(rng, depth, sx), values(rng, depth, sw), rows, depth, shape])
    forward = kernel.startswith("matmul_nt")
    sx, sw = stride(rng, depth), stride(rng, depth if forward else columns)
    w = values(rng, columns if forward else depth, sw)
    mask = [sparse(rng, rows, sy)] if kernel == "matmul_nn_masked" else []
    return Call(kernel, [y, fill(rng, rows, sx), w, *mask, rows, matmul_shape(columns, depth, sy, sx, sw)])


def triangle(kernel: str, rng: Draw) -> Call:
    positions, head = int(rng.integers(1, 17)), int(rng.choice([1, 2, 3, 4, 4, 4, 5, 8, 9, 16]))
    first = int(rng.integers(0, positions))
    scores, a, b = stride(rng, positions), stride(rng, head), stride(rng, head)
    square = values(rng, positions, scores)
    other, w = values(rng, positions, a), values(rng, positions, b)
    if kernel == "causal_nt":
        return Call(kernel, [square, other, w, first, positions, matmul_shape(0, head, scores, a, b)])
    span = [positions] if kernel == "causal_tn" else [first, positions]
    return Call(kernel, [other, square, w, *span, matmul_shape(head, 0, a, scores, b)])


def adam(kernel: str, rng: Draw) -> Call:
    n = size(rng)
    g = np.where(rng.random(n) < 0.3, 0, rng.normal(size=n) * 10.0 ** rng.integers(-14, 3)).astype(np.float32)
    second = np.where(rng.random(n) < 0.3, 0, np.abs(rng.normal(size=n)) * 10.0 ** rng.integers(-24, 3))
    rate, epsilon = 10.0 ** rng.uniform(-6, -1), 10.0 ** rng.uniform(-9, -5)
    step = np.float32([1, 0.854, rate, epsilon, 0.694 * rate, 1.785 * epsilon, (1e4 * epsilon) ** 2])
    return Call(kernel, [values(rng, n), values(rng, n), second.astype(np.float32), g, n, step])


def elementwise(kernel: str, rng: Draw) -> Call:
    n = size(rng)
    x, y = values(rng, n + 2), values(rng, n + 2)
    scale, weight = np.float32(rng.uniform(0.05, 4)), np.float32(rng.uniform(0.01, 20))
    arguments = {
        "softmax": [np.clip(x, -1e4, 1e4), n, scale, weight],
        "softmax_backward": [x, y, n, scale],
        "relu": [x, n],
        "vector_zero": [x, n],
        "vector_add": [values(rng, n + 2), x, y, n],
    }
    return Call(kernel, arguments[kernel])


def norm(kernel: str, rng: Draw) -> Call:
    rows, width = size(rng), size(rng)
    x, y, dy = (values(rng, rows, width) for _ in range(3))
    scale = np.abs(values(rng, rows))
    if kernel == "rmsnorm":
        return Call(kernel, [y, scale, x, rows, rmsnorm_shape(width)])
    return Call(kernel, [x, dy, y, scale, rows, rmsnorm_shape(width)])


def draw_call(kernel: str, rng: Draw) -> Call:
    families = {"matmul": product, "causal": triangle, "adam": adam, "rmsnorm": norm}
    return families.get(kernel.split("_")[0], elementwise)(kernel, rng)


def assert_equal_bits(call: Call, twin: list[np.ndarray], plain: list[np.ndarray]) -> None:
    """Every word of every array; two NaN count as equal whatever their payload."""
    for index, (a, b) in enumerate(zip(twin, plain, strict=True)):
        differs = a.view(np.uint32) != b.view(np.uint32)
        if a.dtype == np.float32:
            differs &= ~(np.isnan(a) & np.isnan(b))
        if differs.any():
            where = tuple(int(i) for i in np.argwhere(differs)[0])
            shapes = [x.shape if isinstance(x, np.ndarray) else x for x in call.arguments]
            words = f"{a.view(np.uint32)[where]:08x}, not {b.view(np.uint32)[where]:08x}"
            pytest.fail(f"{call.kernel}{shapes}: array {index} at {where} is {words}; {differs.sum()} words differ")


Twin = Callable[[list[Call]], list[list[np.ndarray]]]  # from calls to the arrays of each, as the kernel left them


@pytest.fixture(scope="module")
def twins(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twin]:
    """Where kernels run: vectorised on this machine; assembly, and the plain ones too, on the emulated core."""
    folder: Path = tmp_path_factory.mktemp("calls")
    return {
        "host": lambda calls: [run_host(programs.load(), call) for call in calls],
        "asm": lambda calls: run_core(programs.kernel_runner(kernels="asm"), calls, folder),
        "plain": lambda calls: run_core(programs.kernel_runner(kernels="plain"), calls, folder),
    }


@pytest.mark.parametrize("twin", ["host", "asm", "plain"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_equal_bits(kernel: str, twin: str, twins: dict[str, Twin], programs: Programs) -> None:
    @settings(max_examples=EXAMPLES)
    @given(st.lists(st.integers(0, 2**32 - 1), min_size=BATCH, max_size=BATCH))
    def check(seeds: list[int]) -> None:
        calls = [draw_call(kernel, np.random.default_rng(seed)) for seed in seeds]
        for call, arrays in zip(calls, twins[twin](calls), strict=True):
            assert_equal_bits(call, arrays, run_host(programs.load_plain(), call))

    check()


def test_every_declared_kernel_is_in_the_runner() -> None:
    header = (ROOT / "src_c/kernels/kernels.h").read_text()
    assert sorted(re.findall(r"^void (\w+)\(", header, re.MULTILINE)) == sorted(KERNELS)
