"""Writes and reads tests/vectors: inputs that a float32 holds exactly, and what they give in float64.

One JSON file for each family. In it {"float32": ...} and {"float64": ...} are arrays, the latter rounded to
10 significant digits; plain lists and numbers are exact. The last bits that NumPy computes differ between
processors, so a file that agrees but for rounding with what is computed here is current and is left alone.

    python -m python_ref.vectors            writes what is missing or stale
    python -m python_ref.vectors --check    names it instead, and exits with 1 if there is any
"""

import argparse
import json
import math
import random
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

from python_ref import numpy_gpt as gpt
from python_ref.corpus import Tokenizer
from python_ref.model import Shape
from python_ref.numpy_gpt import Array

FOLDER = Path(__file__).parents[1] / "tests" / "vectors"
GENERATOR = "python -m python_ref.vectors"
SEED = 42
LETTERS = "abcdefghijklmnopqrstuvwxyz"

_DTYPES = ("float32", "float64")
_DIGITS = 10
_RELATIVE_TOLERANCE = 2 * 10.0 ** (1 - _DIGITS)  # rounding to that many digits may go either way
_ABSOLUTE_TOLERANCE = 1e-14  # of the array's greatest magnitude: what cancellation leaves of a sum
_LINE_LENGTH = 110

Content = dict[str, Any]


def load(name: str, folder: Path = FOLDER) -> Content:
    """Content of the vector file `name`, for example "matmul", with its arrays as NumPy arrays.

    Raises OSError when there is no such file.
    """
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"), object_hook=_array_from_json)


def render(name: str) -> str:
    """Text of the vector file `name` as this machine computes it."""
    return _render({"generator": GENERATOR, **FAMILIES[name]()}) + "\n"


def stale(folder: Path = FOLDER) -> dict[Path, str]:
    """Files that are missing or disagree with what this machine computes, with the text each should have."""
    result = {}
    for name in FAMILIES:
        text = render(name)
        try:
            current = _agree(load(name, folder), json.loads(text, object_hook=_array_from_json))
        except (OSError, ValueError):
            current = False
        if not current:
            result[folder / f"{name}.json"] = text
    return result


def write(folder: Path = FOLDER) -> list[Path]:
    """Bring the folder up to date; returns the files that were written."""
    files = stale(folder)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(files)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog=GENERATOR, description="Writes missing and stale test vectors.")
    parser.add_argument("--check", action="store_true", help="name them instead, and exit with 1 if any")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: tests/vectors")
    options = parser.parse_args(arguments)
    if not options.check:
        for path in write(options.folder):
            print(f"wrote {path}")
        return 0
    files = stale(options.folder)
    for path in files:
        print(f"{path} is stale: run {GENERATOR}", file=sys.stderr)
    return 1 if files else 0


# Families


def _matmul() -> Content:
    draw = _Draw()
    cases = []
    sizes = [(1, 1, 1), (1, 16, 27), (2, 3, 5), (7, 16, 16), (5, 13, 9), (3, 64, 16), (16, 8, 4)]
    for rows, depth, columns in sizes:
        x, w, start = draw(rows, depth), draw(columns, depth), draw(rows, columns)
        dy = draw(rows, columns)
        cases.append(
            {
                "x": _single(x),
                "w": _single(w),
                "start": _single(start),
                "y": x @ w.T,
                "y_added": start + x @ w.T,
                "dy": _single(dy),
                "dx": dy @ w,
                "dw": dy.T @ x,
            }
        )
    return {
        "about": "y = x w^T with x [rows, depth], w [columns, depth]; y_added = start + y; dx and dw from dy",
        "cases": cases,
    }


def _rmsnorm() -> Content:
    draw = _Draw()
    cases = []
    sizes = [(1, 1, 1.0), (1, 16, 1.0), (7, 16, 0.1), (3, 10, 100.0), (2, 12, 1e-3), (2, 5, 0.0)]
    for rows, width, magnitude in sizes:
        x, dy = draw(rows, width, magnitude=magnitude), draw(rows, width)
        y, scale = gpt.rmsnorm(x)
        dx = gpt.rmsnorm_backward(dy, y, scale)
        cases.append({"x": _single(x), "y": y, "scale": scale[:, 0], "dy": _single(dy), "dx": dx})
    return {
        "about": "y = x * scale, scale = (mean(x^2) + 1e-5)^(-1/2) of each row; dx from dy",
        "cases": cases,
    }


def _softmax() -> Content:
    draw = _Draw()
    rows = [draw(length, magnitude=magnitude) for length in (1, 2, 5, 16, 27) for magnitude in (1.0, 20.0)]
    rows += [np.zeros(7), np.array([60.0, -60.0, 59.0, 0.0])]
    forward = [{"x": _single(x), "y": gpt.softmax(x)} for x in rows]
    backward = []
    for x in rows:
        y, dy = _rounded(gpt.softmax(x)), draw(len(x))
        backward.append({"y": _single(y), "dy": _single(dy), "dx": gpt.softmax_backward(dy, y)})
    return {
        "about": "forward: y = softmax(x); backward: dx = (dy - sum(dy * y)) * y for the float32 y given",
        "forward": forward,
        "backward": backward,
    }


def _attention() -> Content:
    draw = _Draw()
    cases = []
    for positions, size in [(1, 4), (2, 1), (5, 5), (7, 4), (4, 16), (16, 4)]:
        q, k, v, d_mixed = (draw(positions, size, magnitude=2.0) for _ in range(4))
        probabilities, mixed = gpt.attention(q, k, v)
        dq, dk, dv, d_scores = gpt.attention_backward(d_mixed, q, k, v, probabilities)
        cases.append(
            {
                "q": _single(q),
                "k": _single(k),
                "v": _single(v),
                "scores": np.where(probabilities > 0, gpt.attention_scores(q, k), 0.0),
                "probabilities": probabilities,
                "mixed": mixed,
                "d_mixed": _single(d_mixed),
                "d_scores": d_scores,
                "dq": dq,
                "dk": dk,
                "dv": dv,
            }
        )
    return {
        "about": "one head: scores = q k^T / sqrt(size), probabilities = causal softmax of them, "
        "mixed = probabilities v; 0 above the diagonal; gradients from d_mixed",
        "cases": cases,
    }


def _relu() -> Content:
    x = _rounded(np.array([0.0, -0.0, 1.0, -1.0, 1e-38, -1e-38, 3e38, -3e38, *_Draw()(9)]))
    dy = _Draw()(len(x))
    y = gpt.relu(x)
    return {
        "about": "y = max(0, x); dx from dy is 0 where x <= 0",
        "x": _single(x),
        "y": _single(y),
        "dy": _single(dy),
        "dx": _single(gpt.relu_backward(dy, y)),
    }


def _cross_entropy() -> Content:
    draw = _Draw()
    cases = []
    sizes = [(1, 2, 1.0), (1, 27, 1.0), (7, 27, 3.0), (16, 27, 0.1), (5, 12, 30.0)]
    for positions, vocabulary, magnitude in sizes:
        logits = draw(positions, vocabulary, magnitude=magnitude)
        targets = [draw.rng.randrange(vocabulary) for _ in range(positions)]
        loss, d_logits = gpt.cross_entropy(logits, targets)
        cases.append({"logits": _single(logits), "targets": targets, "loss": np.array(loss), "d_logits": d_logits})
    return {"about": "loss = mean of -log softmax(logits)[target]; d_logits its gradient", "cases": cases}


def _adam() -> Content:
    draw = _Draw()
    steps = 6
    edge = {  # gradients of one weight, step by step
        "no gradient yet": [0.0] * steps,
        "no gradient after the first": [0.5] + [0.0] * (steps - 1),
        "the first gradient late": [0.0] * (steps - 1) + [-0.25],
        "squares below float32": [1e-25] * steps,
        "squares near the smallest normal float32": [2e-19, -1.5e-19, 3e-19, 1.1e-19, -2e-19, 1.3e-19],
        "roots below epsilon": [1e-10, -1e-10, 3e-10, 1e-11, 1e-9, -1e-10],
        "roots near epsilon": [1e-8, 2e-8, -1e-8, 3e-8, 1e-7, -1e-8],
        "large": [1e3, -2e3, 1e4, 5e2, -1e3, 1e5],
    }
    ordinary = draw(steps, 24, magnitude=0.1)
    gradients = np.hstack([ordinary, _rounded(np.array(list(edge.values())).T)])
    count = gradients.shape[1]
    weights = draw(count, magnitude=0.3)
    moments = draw(count, magnitude=0.05), np.abs(draw(count, magnitude=1e-3))
    # Second moments as gradients that stopped long ago leave them: alone, or with a gradient of their size.
    moments[1][:3] = _rounded(np.array([1e-20, 1e-20, 1e-30]))
    moments[0][:3] = _rounded(np.array([1e-12, -1e-11, 1e-16]))
    gradients[:, :3] = _rounded(np.array([0.0, 1e-10, 0.0]))
    cases = []
    for first_step, total_steps, start in [
        (0, 1000, (np.zeros(count), np.zeros(count))),
        (500, 1000, moments),
        (994, 1000, moments),
    ]:
        w, first, second = weights.copy(), start[0].copy(), start[1].copy()
        rates = [0.01 * (1 - step / total_steps) for step in range(first_step, first_step + steps)]
        after: dict[str, list[Array]] = {"w": [], "first": [], "second": []}
        for step, rate in enumerate(rates, start=first_step):
            gpt.adam_step(w, first, second, gradients[step - first_step], step, rate)
            for name, values in (("w", w), ("first", first), ("second", second)):
                after[name].append(values.copy())
        cases.append(
            {
                "first_step": first_step,
                "rates": rates,
                "w": _single(weights),
                "first": _single(start[0]),
                "second": _single(start[1]),
                "gradients": _single(gradients),
                "after": {name: np.array(rows) for name, rows in after.items()},
            }
        )
    return {
        "about": "Adam with beta 0.85 and 0.99, epsilon 1e-8, bias correction of step + 1; steps count from "
        "first_step, each with its rate and row of gradients; after: w and both moments after every step",
        "cases": cases,
    }


def _math() -> Content:
    rng = random.Random(SEED)
    wide = [math.ldexp(rng.uniform(1, 2), rng.randint(-125, 124)) for _ in range(120)]
    near_one = [1.0, 1 - 2.0**-24, 1 + 2.0**-23, *(rng.uniform(0.5, 2) for _ in range(60))]
    powers = [2.0**exponent for exponent in range(-125, 126, 10)]
    exponents = [0.0, -80.0, 88.0, 1e-30, -1e-30, 1e-8, -1e-8]
    exponents += [n * math.log(2) / 2 for n in range(-230, 254, 11)]
    exponents += [rng.uniform(-80, 88) for _ in range(80)] + [rng.uniform(-1, 1) for _ in range(60)]
    turns = [0.0, 0.5, 0.25, 1e-30, 1e-6, *(rng.uniform(0, 0.5) for _ in range(120))]
    functions: dict[str, tuple[Callable[[Any], Any], list[float]]] = {
        "exp": (mpmath.exp, exponents),
        "log": (mpmath.log, wide + near_one + powers),
        "sqrt": (mpmath.sqrt, [0.0, *wide, *near_one, *powers]),
        "rsqrt": (lambda x: 1 / mpmath.sqrt(x), wide + near_one + powers),
        "reciprocal": (lambda x: 1 / x, wide + near_one + powers),
        "sin_quarter": (lambda x: mpmath.sin(x * mpmath.pi / 2), turns),
        "cos_quarter": (lambda x: mpmath.cos(x * mpmath.pi / 2), turns),
    }
    content: Content = {
        "about": "y = f(x), rounded once to float32; sin_quarter and cos_quarter are those of x * pi / 2"
    }
    for name, (function, arguments) in functions.items():
        x = _rounded(np.array(arguments))
        y = np.array([_nearest_float32(function, value) for value in x])
        content[name] = {"x": _single(x), "y": _single(y)}
    return content


def _random() -> Content:
    weights = _rounded(gpt.softmax(_Draw()(27, magnitude=4.0)))
    cases = []
    for seed in (0, 1, 42, -7, 2**32, 2**64 + 12345, 10**30):
        words = random.Random(seed)
        first_words = [words.getrandbits(32) for _ in range(8)]
        for _ in range(1000 - len(first_words)):
            words.getrandbits(32)
        uniform, normal, both = random.Random(seed), random.Random(seed), random.Random(seed)
        shuffles = {}
        shuffler = random.Random(seed)
        for length in (1, 2, 10, 33):
            items = list(range(length))
            shuffler.shuffle(items)
            shuffles[str(length)] = items
        chooser = random.Random(seed)
        cases.append(
            {
                "seed": seed,
                "words": first_words,
                "words_from_1000": [words.getrandbits(32) for _ in range(4)],
                "random": [uniform.random() for _ in range(6)],
                "gauss": [normal.gauss(0, 1) for _ in range(7)],
                "gauss_then_random": [both.gauss(0, 0.08), both.random(), both.gauss(0, 0.08), both.random()],
                "shuffle": shuffles,
                "choices": chooser.choices(range(len(weights)), weights=weights.tolist(), k=40),
            }
        )
    return {
        "about": "CPython's random.Random(seed), each entry from a fresh one; shuffle: lists 0 .. length - 1, "
        "one after the other from the same generator; choices: 40 draws of an index with these weights",
        "weights": _single(weights),
        "cases": cases,
    }


def _model(shape: Shape, characters: str, texts: Sequence[str]) -> Content:
    parameters = _Draw()(shape.parameter_count, magnitude=0.4)
    tokenizer = Tokenizer(characters)
    documents = []
    for text in texts:
        tokens = tokenizer.encode(text)
        loss, gradients = gpt.loss_and_gradients(parameters, shape, tokens)
        logits = gpt.forward(parameters, shape, shape.split(tokens)[0]).logits
        documents.append(
            {"text": text, "tokens": tokens, "loss": np.array(loss), "logits": logits, "gradients": gradients}
        )
    return {
        "about": "loss, logits [positions, vocab_size] and the gradient of every parameter; parameters are "
        "wte, wpe, lm_head, then for each layer wq, wk, wv, wo, fc1, fc2, each [outputs][inputs]",
        "shape": vars(shape),
        "characters": characters,
        "parameters": _single(parameters),
        "documents": documents,
    }


def _model_default() -> Content:
    return _model(Shape(vocab_size=27), LETTERS, ["kamon", "maximilianalexander", "q"])


def _model_two_layers() -> Content:
    shape = Shape(vocab_size=27, n_layer=2, n_embd=12, n_head=3, block_size=8)
    return _model(shape, LETTERS, ["matilda", "christopher", "x"])


def _model_odd() -> Content:
    shape = Shape(vocab_size=12, n_layer=1, n_embd=10, n_head=2, block_size=5)
    return _model(shape, LETTERS[:11], ["cab", "feedback", "j", "add"])


def _model_one_head() -> Content:
    shape = Shape(vocab_size=27, n_layer=1, n_embd=6, n_head=1, block_size=4)
    return _model(shape, LETTERS, ["ada", "olivia", "i"])


FAMILIES: dict[str, Callable[[], Content]] = {
    "matmul": _matmul,
    "rmsnorm": _rmsnorm,
    "softmax": _softmax,
    "attention": _attention,
    "relu": _relu,
    "cross_entropy": _cross_entropy,
    "adam": _adam,
    "math": _math,
    "random": _random,
    "model_default": _model_default,
    "model_two_layers": _model_two_layers,
    "model_odd": _model_odd,
    "model_one_head": _model_one_head,
}


# Numbers


class _Draw:
    """Arrays of uniform values that float32 holds exactly, the same on every machine."""

    def __init__(self) -> None:
        self.rng = random.Random(SEED)

    def __call__(self, *shape: int, magnitude: float = 1.0) -> Array:
        values = [self.rng.uniform(-magnitude, magnitude) for _ in range(math.prod(shape))]
        return _rounded(np.array(values).reshape(shape))


def _single(x: Array) -> np.ndarray:
    """x as float32; it must fit exactly."""
    result = x.astype(np.float32)
    assert np.array_equal(result, x)
    return result


def _rounded(x: Array) -> Array:
    """float64 array of the nearest float32 values."""
    return x.astype(np.float32).astype(np.float64)


def _nearest_float32(function: Callable[[Any], Any], x: float) -> float:
    """function(x), rounded once to the 24 bits of a normal float32."""
    with mpmath.workdps(100):
        exact = function(mpmath.mpf(x))
    with mpmath.workprec(24):
        return float(+exact)


def _agree(a: Any, b: Any) -> bool:
    """Whether two contents hold the same, floats but for what differs from one machine to another."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(_agree(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_agree, a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype == np.float32:
            return a.tobytes() == b.tobytes()
        slack = _ABSOLUTE_TOLERANCE * np.max(np.abs(b), initial=0.0)
        return bool(np.all(np.abs(a - b) <= slack + _RELATIVE_TOLERANCE * np.abs(b)))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=_RELATIVE_TOLERANCE)
    return type(a) is type(b) and a == b


# Text


def _array_from_json(item: Content) -> Any:
    for dtype in _DTYPES:
        if list(item) == [dtype]:
            return np.array(item[dtype], dtype=dtype)
    return item


def _render(item: Any) -> str:
    """JSON with a line for each entry of a dictionary and dictionary of a list; long lists are wrapped."""
    if isinstance(item, np.ndarray):
        return f'{{"{item.dtype}": {_wrap(_render_numbers(item))}}}'
    if isinstance(item, dict):
        entries = ",\n".join(f"{json.dumps(key)}: {_render(value)}" for key, value in item.items())
        return f"{{{entries}}}"
    if not isinstance(item, list):
        return json.dumps(item)
    if isinstance(item[0], dict):
        return "[\n" + ",\n".join(map(_render, item)) + "]"
    return _wrap(json.dumps(item))


def _render_numbers(array: np.ndarray) -> str:
    if array.ndim:
        return "[" + ", ".join(map(_render_numbers, array)) + "]"
    assert np.isfinite(array)
    return str(array) if array.dtype == np.float32 else f"{array:.{_DIGITS}g}"


def _wrap(text: str) -> str:
    return textwrap.fill(text, _LINE_LENGTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(main())
