"""Every twin of the plain kernels, which define the bits, against them: equal bits, no tolerance."""

import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Programs
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import (
    KERNELS,
    AdamStep,
    Call,
    count_instructions,
    matmul_sizes,
    rmsnorm_sizes,
    run_core,
    run_host,
    softmax_sizes,
)
from wasm import module, run_module

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


def active(rng: Draw, positions: int, stride: int) -> np.ndarray:
    """Words of bits as relu writes them: position k of unit c is bit 31 - k % 32 of [k // 32, c]."""
    words = np.zeros((-(-positions // 32), stride), np.uint32)
    for k, row in enumerate(rng.random((positions, stride)) < rng.random()):
        words[k // 32] |= row.astype(np.uint32) << np.uint32(31 - k % 32)
    return words


def size(rng: Draw) -> int:
    """Sizes of the model, of the tiles and around them."""
    return int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16, 17, 27, 31, 48, 64, 67]))


def stride(rng: Draw, length: int) -> int:
    return length + int(rng.choice([0, 0, 1, 5]))


def product(kernel: str, rng: Draw, rows: int, columns: int, depth: int) -> Call:
    sy = stride(rng, columns)
    fill = sparse if "sparse" in kernel else values
    y = values(rng, rows, sy)
    if kernel.startswith("matmul_tn"):
        sx, sw = stride(rng, rows), stride(rng, columns)
        x, w, shape = values(rng, depth, sx), values(rng, depth, sw), matmul_sizes(columns, depth, sy, sx, sw)
        if kernel == "matmul_tn":
            return Call(kernel, [y, x, w, rows, depth, shape])
        units = w if kernel.endswith("_w") else x
        words = active(rng, *units.shape)
        k = np.arange(depth)[:, None]
        units[(words[k[:, 0] // 32] >> (31 - k % 32).astype(np.uint32)) & 1 == 0] = 0
        return Call(kernel, [y, x, w, words, rows, shape])
    forward = kernel.startswith("matmul_nt")
    sx, sw = stride(rng, depth), stride(rng, depth if forward else columns)
    w = values(rng, columns if forward else depth, sw)
    mask = [active(rng, rows, sy)] if kernel == "matmul_nn_masked" else []
    return Call(kernel, [y, fill(rng, rows, sx), w, *mask, rows, matmul_sizes(columns, depth, sy, sx, sw)])


def triangle(kernel: str, rng: Draw, positions: int, head: int) -> Call:
    first = int(rng.integers(0, positions))
    scores, a, b = stride(rng, positions), stride(rng, head), stride(rng, head)
    square = values(rng, positions, scores)
    other, w = values(rng, positions, a), values(rng, positions, b)
    if kernel == "causal_nt":
        return Call(kernel, [square, other, w, first, positions, matmul_sizes(0, head, scores, a, b)])
    span = [positions] if kernel == "causal_tn" else [first, positions]
    return Call(kernel, [other, square, w, *span, matmul_sizes(head, 0, a, scores, b)])


def adam_step(rate: float, epsilon: float) -> np.ndarray:
    """struct adam_step."""
    step = AdamStep(1, 0.854, rate, epsilon, 0.694 * rate, 1.785 * epsilon, (1e4 * epsilon) ** 2)
    return np.frombuffer(bytes(step), np.float32)


def adam(kernel: str, rng: Draw, n: int) -> Call:
    g = np.where(rng.random(n) < 0.3, 0, rng.normal(size=n) * 10.0 ** rng.integers(-14, 3)).astype(np.float32)
    second = np.where(rng.random(n) < 0.3, 0, np.abs(rng.normal(size=n)) * 10.0 ** rng.integers(-24, 3))
    rate, epsilon = 10.0 ** rng.uniform(-6, -1), 10.0 ** rng.uniform(-9, -5)
    step = adam_step(rate, epsilon)
    second = (
        np.maximum(second, AdamStep.from_buffer_copy(step).exact_below) if kernel == "adam_update_large" else second
    )
    gradient = [] if kernel == "adam_decay" else [g]
    return Call(kernel, [values(rng, n), values(rng, n), second.astype(np.float32), *gradient, n, step])


def relu(kernel: str, rng: Draw, rows: int, width: int) -> Call:
    return Call(kernel, [values(rng, rows, width), active(rng, rows, width), rows, width])


def elementwise(kernel: str, rng: Draw, n: int) -> Call:
    x, y = values(rng, n + 2), values(rng, n + 2)
    return Call(kernel, [x, n] if kernel == "vector_zero" else [values(rng, n + 2), x, y, n])


def softmax(kernel: str, rng: Draw, rows: int, length: int) -> Call:
    growth = int(rng.integers(2))
    wide = stride(rng, length + (rows - 1) * growth)
    x, y = values(rng, rows, wide), values(rng, rows, wide)
    if rng.random() < 0.3:
        x = -np.abs(x)
    shape = softmax_sizes(wide, growth)
    scale, weight = np.float32(rng.uniform(0.05, 4)), np.float32(rng.uniform(0.01, 20))
    if kernel == "softmax":
        return Call(kernel, [np.clip(x, -1e4, 1e4), rows, length, shape, scale, weight])
    return Call(kernel, [x, y, rows, length, shape, scale])


def norm(kernel: str, rng: Draw, rows: int, width: int) -> Call:
    x, y, dy = (values(rng, rows, width) for _ in range(3))
    scale = np.abs(values(rng, rows))
    if kernel == "rmsnorm":
        return Call(kernel, [y, scale, x, rows, rmsnorm_sizes(width)])
    return Call(kernel, [x, dy, y, scale, rows, rmsnorm_sizes(width)])


FAMILIES = {"matmul": product, "causal": triangle, "adam": adam, "softmax": softmax, "rmsnorm": norm, "relu": relu}


def draw_call(kernel: str, rng: Draw, sizes: Iterable[int] = ()) -> Call:
    """A call of a kernel of these sizes, in the order in which its family takes them; of random ones by default."""
    family = kernel.split("_")[0]
    if not sizes:
        heads = [1, 2, 3, 4, 4, 4, 5, 8, 9, 16]
        random = {
            "matmul": [size(rng), size(rng), size(rng)],
            "causal": [int(rng.integers(1, 17)), int(rng.choice(heads))],
            "rmsnorm": [size(rng), size(rng)],
            "relu": [size(rng), size(rng)],
            "softmax": [size(rng), size(rng)],
        }
        sizes = random.get(family, [size(rng)])
    return FAMILIES.get(family, elementwise)(kernel, rng, *sizes)


# Sizes at which a tile, a group, a row or a single element is the last, in every combination; and sums longer than what
# the sparse products take at once, 64 steps of a row or 32 positions of a unit.
SMALL_SIZES = {
    "matmul": [
        *itertools.product(range(1, 13), range(1, 14), (1, 2, 3, 4, 5, 9)),
        *itertools.product((1, 3), (9,), (63, 64, 65, 68, 127, 128, 129, 200)),
    ],
    "causal": [*itertools.product(range(1, 10), range(1, 10))],
    "rmsnorm": [*itertools.product(range(1, 4), range(1, 18))],
    "softmax": [*itertools.product(range(1, 5), range(1, 18))],
    "relu": [*itertools.product((1, 2, 3, 31, 32, 33, 64, 65), range(1, 10))],
}
SMALL_LENGTHS = [(n,) for n in range(1, 34)]


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
    """Where kernels run: vectorised on this machine; assembly, and the plain ones too, on the emulated core; and as
    WebAssembly."""
    folder: Path = tmp_path_factory.mktemp("calls")
    return {
        "host": lambda calls: [run_host(programs.load(), call) for call in calls],
        "asm": lambda calls: run_core(programs.kernel_runner(kernels="asm"), calls, folder),
        "plain": lambda calls: run_core(programs.kernel_runner(kernels="plain"), calls, folder),
        "wasm": lambda calls: run_module(module(programs, "kernels.wasm"), calls, folder),
    }


@pytest.mark.parametrize("twin", ["host", "asm", "plain", "wasm"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_equal_bits(kernel: str, twin: str, twins: dict[str, Twin], programs: Programs) -> None:
    @settings(max_examples=EXAMPLES)
    @given(st.lists(st.integers(0, 2**32 - 1), min_size=BATCH, max_size=BATCH))
    def check(seeds: list[int]) -> None:
        calls = [draw_call(kernel, np.random.default_rng(seed)) for seed in seeds]
        for call, arrays in zip(calls, twins[twin](calls), strict=True):
            assert_equal_bits(call, arrays, run_host(programs.load_plain(), call))

    check()


@pytest.mark.parametrize("twin", ["host", "asm", "wasm"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_equal_bits_at_every_small_size(kernel: str, twin: str, twins: dict[str, Twin], programs: Programs) -> None:
    sizes = SMALL_SIZES.get(kernel.split("_")[0], SMALL_LENGTHS)
    calls = [draw_call(kernel, np.random.default_rng([2, *one]), one) for one in sizes]
    for call, arrays in zip(calls, twins[twin](calls), strict=True):
        assert_equal_bits(call, arrays, run_host(programs.load_plain(), call))


def test_adam_on_every_magnitude_of_the_moments(twins: dict[str, Twin], programs: Programs) -> None:
    """Both formulas and the border between them, at so many moments that every rounding matters somewhere."""
    rng = np.random.default_rng(5)
    n, epsilon = 30_000, 1e-8
    second = (10.0 ** rng.uniform(-24, -4, n)).astype(np.float32)
    border = np.float32((1e4 * epsilon) ** 2)
    second[:100] = (border.view(np.int32) + np.arange(-50, 50, dtype=np.int32)).view(np.float32)
    first, zeros = (rng.normal(size=n) * np.sqrt(second)).astype(np.float32), np.zeros(n, np.float32)
    call = Call("adam_update", [zeros, first, second, zeros, n, adam_step(0.01, epsilon)])
    assert_equal_bits(call, twins["asm"]([call])[0], run_host(programs.load_plain(), call))


def test_constants_of_the_assembly_are_those_of_the_definition() -> None:
    """Bit for bit, but for the sign: an error in the last place would show in few results."""
    definition = (ROOT / "src_c/math/math32.h").read_text() + (ROOT / "src_c/kernels/kernels.h").read_text()
    numbers = re.findall(r"-?\b(0x[0-9a-f.]+p[-+]?\d+|\d[\d.]*(?:e-?\d+)?)f\b", definition)
    floats = np.float32([float.fromhex(number) if "x" in number else float(number) for number in numbers])
    defined = {int(bits) & 0x7FFFFFFF for bits in floats.view(np.uint32)}
    defined |= {int(bits, 16) for bits in re.findall(r"\b(0x[0-9a-f]{8})u\b", definition)}
    folder = ROOT / "src_c/kernels/xtensa"
    assembly = "".join(path.read_text() for path in folder.iterdir())
    used = {int(bits, 16) & 0x7FFFFFFF for bits in re.findall(r"\b0x[0-9a-f]{8}\b", assembly)}
    assert len(used) >= 15
    assert used <= defined


def test_every_declared_kernel_is_in_the_runner() -> None:
    header = (ROOT / "src_c/kernels/kernels.h").read_text()
    assert sorted(re.findall(r"^void (\w+)\(", header, re.MULTILINE)) == sorted(KERNELS)


def test_no_number_of_rows_is_dearer_than_two_calls_that_share_them(programs: Programs, tmp_path: Path) -> None:
    """Rows go in tiles of 4 and 3 as long as that lasts, for a single row takes a third more for each product.

    Twelve columns suit both.
    """
    runner, plugin = programs.kernel_runner(kernels="asm"), programs.profile_plugin()
    rng = np.random.default_rng(1)
    columns, depth = 12, 16

    def cost(kernel: str, rows: int) -> int:
        y, x, w = (values(rng, a, b) for a, b in ((rows, columns), (rows, depth), (depth, columns)))
        call = Call(kernel, [y, x, w, rows, matmul_sizes(columns, depth, columns, depth, columns)])
        return count_instructions(plugin, runner, call, tmp_path)

    for kernel in ("matmul_nt", "matmul_nn"):
        costs = [0, *(cost(kernel, rows) for rows in range(1, 17))]
        for rows in range(2, 17):
            assert costs[rows] <= min(costs[part] + costs[rows - part] for part in range(1, rows)), (kernel, rows)
