"""The coefficients of src_c/core/training_time.h, found in counts of the emulated core and in runs on this machine.

The terms are those of the C, which the library lists. Their coefficients minimise the relative error of a step's
modelled cycles over models of many shapes and texts, some new and some trained; none is negative, for nothing that a
step does saves time. What a run's weights will be like is estimated from runs here, which have the chip's bits.
"""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from microgpt import Learner, Text
from microgpt import library as c_library
from microgpt.library import Effort, Positions
from scipy.optimize import least_squares, nnls

from mgbuild.emulated import profile
from mgbuild.plan import build_folder, training_time
from mgbuild.plan.shape import Shape
from mgbuild.plan.training_time import TextLengths

NAMES = Path("data/names.txt")  # what is learned, whatever a firmware is for
COEFFICIENTS = Path("src_c/core/training_fit.c")
CHANGED = 0.002  # of a step's cycles or of an effort: less is another compiler or another NumPy
CORES = (1, 2)

# Of what is measured on the emulated core.
DOCUMENTS = 1000  # of a text
STEPS = 6  # the first of which looks at the second moments
LOOKS = 16  # STEPS_BETWEEN_LOOKS of core/learner.c

# Of runs on this machine.
MOST_SQUARES = 5000  # n_layer * n_embd**2: what a chip has room for, with its moments
MOST_WORK = 10_000_000  # the same times steps: some tenths of a second
LOOKED_AT = 120  # steps
LONG = 2000  # steps; in shorter runs second moments have hardly time to become small
RIDGE = 0.003  # of the fit: with it, runs that were left out are estimated best


class Case(NamedTuple):
    """A model to measure: its shape, the mean length of its documents, and the steps it is trained before."""

    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    vocab_size: int
    length: int
    trained: int  # a multiple of LOOKS


# Shapes as people choose them, and some odd ones: small and large, long documents and short, wide heads and narrow.
CASES = (
    Case(16, 4, 1, 16, 27, 6, 0),
    Case(16, 4, 1, 16, 27, 6, 320),
    Case(16, 4, 1, 16, 27, 6, 992),
    Case(16, 2, 1, 32, 40, 22, 320),
    Case(16, 4, 2, 8, 27, 5, 96),
    Case(16, 1, 1, 16, 54, 12, 800),
    Case(16, 4, 4, 16, 27, 8, 1200),
    Case(24, 4, 1, 16, 27, 6, 800),
    Case(24, 3, 2, 12, 40, 9, 320),
    Case(24, 6, 1, 24, 75, 15, 0),
    Case(24, 2, 3, 16, 27, 7, 800),
    Case(32, 4, 1, 16, 27, 6, 320),
    Case(32, 4, 2, 16, 27, 7, 2400),
    Case(32, 8, 1, 48, 54, 28, 800),
    Case(32, 2, 1, 16, 40, 11, 0),
    Case(40, 4, 1, 16, 27, 6, 800),
    Case(40, 10, 1, 24, 27, 13, 96),
    Case(48, 4, 1, 16, 27, 7, 1600),
    Case(48, 6, 2, 16, 40, 8, 800),
    Case(56, 4, 1, 16, 27, 6, 1200),
    Case(64, 8, 1, 32, 27, 18, 800),
    Case(12, 3, 1, 12, 27, 6, 320),
    Case(12, 4, 2, 16, 20, 10, 0),
    Case(8, 2, 1, 16, 27, 6, 800),
    Case(8, 2, 3, 24, 54, 16, 96),
    Case(8, 1, 1, 8, 20, 5, 0),
    Case(20, 4, 1, 16, 27, 7, 320),
    Case(20, 5, 2, 32, 27, 20, 800),
    Case(28, 4, 1, 12, 75, 8, 1200),
    Case(36, 4, 1, 16, 27, 6, 320),
    Case(18, 3, 1, 16, 40, 9, 96),
    Case(30, 5, 1, 16, 27, 7, 800),
    Case(10, 2, 2, 16, 27, 6, 0),
)
# Never fitted: what the error is measured on.
HELD_OUT = (
    Case(16, 4, 1, 24, 40, 14, 320),
    Case(16, 2, 3, 16, 27, 6, 800),
    Case(24, 4, 2, 16, 27, 8, 320),
    Case(32, 4, 1, 32, 27, 17, 1200),
    Case(32, 8, 2, 12, 54, 6, 96),
    Case(48, 8, 1, 16, 27, 6, 1200),
    Case(44, 4, 1, 24, 27, 12, 0),
    Case(12, 2, 1, 16, 75, 7, 800),
    Case(20, 2, 1, 16, 27, 6, 0),
    Case(64, 4, 1, 16, 40, 10, 320),
)


# Which terms the modelled cycles of some functions are a sum of, on one core; None: of all others.
FUNCTIONS: tuple[tuple[tuple[str, ...] | None, tuple[str, ...]], ...] = (
    (
        ("matmul_nt", "matmul_nt_add", "matmul_nn", "matmul_tn"),
        ("products", "logit_products", "rows", "logits", "weights", "token_weights", "layers"),
    ),
    (
        ("matmul_nt_add_sparse", "matmul_nn_sparse", "matmul_nn_masked", "matmul_tn_sparse", "matmul_tn_sparse_w"),
        ("sparse_products", "sparse_values", "sparse_columns", "rows", "weights", "layers"),
    ),
    (("causal_nt", "causal_nn", "causal_tn"), ("attention", "wide_heads", "head_rows", "rows")),
    (("softmax", "softmax_backward"), ("logits", "attention", "head_rows", "positions")),
    (
        ("adam_update", "adam_update_large", "adam_decay"),
        ("weights", "careful_weights", "token_weights", "position_weights", "units"),
    ),
    (None, ("positions", "layers", "units", "rows", "head_rows", "logits", "token_weights", "position_weights")),
)


@dataclass(frozen=True)
class Sample:
    """What was measured of a case: modelled cycles of a step on one core and on two, and what they follow from."""

    shape: Shape
    positions: Positions
    effort: Effort
    cycles: dict[int, float]  # by the number of cores
    functions: dict[str, float]  # of the cycles on one core


def measure(case: Case, names: Text, plugin: Path, firmware: Path, library: Path) -> Sample:
    """A case on the emulated core, for STEPS steps after those that are taken here."""
    text = _text(case, names)
    sizes = {name: getattr(case, name) for name in ("n_embd", "n_head", "n_layer", "block_size")}
    learner = Learner(text, steps=case.trained + STEPS, path=library.resolve(), **sizes)
    learner.train(case.trained)
    kept = learner.checkpoint().with_numbers(samples=1)
    order = [int(kept.order[(kept["document"] + step) % len(kept.order)]) for step in range(STEPS)]
    counts = [min(case.block_size, len(text.documents[index]) + 1) for index in order]
    efforts = []
    for _ in range(STEPS):
        learner.train(1)
        efforts.append(learner.effort)
    active = sum(effort.active * count for effort, count in zip(efforts, counts, strict=True)) / sum(counts)
    with tempfile.TemporaryDirectory() as folder:
        image, resume = Path(folder, "dataset.bin"), Path(folder, "resume.ckpt")
        image.write_bytes(text.image)
        kept.write(resume)
        one = profile.run(plugin, firmware, image, resume=resume)
        two = profile.run(plugin, firmware, image, cores=2, resume=resume)
        pair, _ = profile.cycles_of_pair(profile.stretches(plugin, firmware, image, two, resume), STEPS)
    functions = profile.total(one.cycles, profile.TRAINING, lambda owner: owner.function)
    # A step that goes on from a checkpoint looks at the second moments; in a run, where some are small, one in LOOKS.
    is_careful = any(effort.careful > 0 for effort in efforts)
    functions["adam_measure"] = round(functions["adam_measure"] * STEPS / LOOKS) if is_careful else 0
    unusual = profile.total(one.cycles, profile.TRAINING, lambda _: "")[""] - functions.total()
    return Sample(
        shape=Shape(vocab_size=text.vocab_size, **sizes),
        positions=Positions(float(np.mean(counts)), float(np.mean(np.square(counts)))),
        effort=Effort(active, float(np.mean([effort.careful for effort in efforts]))),
        cycles={1: functions.total() / STEPS, 2: (pair - unusual) / STEPS},
        functions={name: count / STEPS for name, count in functions.items()},
    )


def _text(case: Case, names: Text) -> Text:
    """Names, or some in a row, cut to lengths about the mean; where the alphabet is larger, its parts take turns."""
    rng = random.Random(0)
    letters = "".join(rng.sample(names.documents, 8000))
    alphabet = [chr(ord("0") + index) for index in range(case.vocab_size - 1)]
    documents = []
    at = 0
    for _ in range(DOCUMENTS):
        length = max(1, round(rng.gauss(case.length, case.length / 3)))
        numbers = names.encode(letters[at : at + length])
        at += length
        documents.append(
            "".join(
                alphabet[(number + len(names.characters) * position) % len(alphabet)]
                for position, number in enumerate(numbers)
            )
        )
    return Text.of(documents)


class Run(NamedTuple):
    """A whole run of training on this machine, and the mean effort of its steps."""

    shape: Shape
    positions: Positions
    steps: int
    factors: np.ndarray  # of core/training_time.h
    effort: Effort
    estimated: Effort  # by the library as it is


def runs(names: Text, library: Path, count: int = 320) -> list[Run]:
    """Runs of many shapes, lengths and learning rates, on names and on lines of three names."""
    rng = random.Random(0)
    lines = Text.of(" ".join(names.documents[index : index + 3]) for index in range(0, 9000, 3))
    lengths = {text: TextLengths.of_image(text.image) for text in (names, lines)}
    found: list[Run] = []
    while len(found) < count:
        n_embd, n_layer = 4 * rng.randint(2, 16), rng.choice((1, 1, 1, 2, 2, 3, 4))
        block_size, steps = rng.choice((8, 16, 16, 24)), round(10 ** rng.uniform(1, 4.5))
        lr, text = rng.choice((0.01, 0.01, 10 ** rng.uniform(-4, -1))), rng.choice((names, names, lines))
        if n_layer * n_embd**2 <= MOST_SQUARES and n_layer * n_embd**2 * steps <= MOST_WORK:
            sizes = {"n_embd": n_embd, "n_layer": n_layer, "block_size": block_size}
            learner = Learner(text, steps=steps, lr=lr, path=library.resolve(), **sizes)
            shape = Shape(n_head=learner.n_head, vocab_size=text.vocab_size, **sizes)
            positions = lengths[text].positions(library, block_size)
            factors = np.empty(c_library.EFFORT_FACTORS, np.float32)
            c_library.load(library).microgpt_effort_factors(_c_shape(shape), positions, steps, lr, factors.ctypes.data)
            estimated = training_time.expected_effort(library, shape, lengths[text], steps=steps, lr=lr)
            found.append(Run(shape, positions, steps, factors.astype(float), mean_effort(learner), estimated))
    return found


def mean_effort(learner: Learner) -> Effort:
    """Train to the end; returns the mean of the efforts of LOOKED_AT steps on the way."""
    efforts = []
    for index in range(LOOKED_AT):
        until = max(1, (index + 1) * learner.steps // LOOKED_AT)
        learner.train(max(0, until - learner.steps_taken))
        efforts.append(learner.effort)
    return Effort(*(float(np.mean([getattr(effort, name) for effort in efforts])) for name in ("active", "careful")))


@dataclass(frozen=True)
class Coefficients:
    """struct training_fit of src_c/core/training_time.h."""

    cycles: dict[int, np.ndarray]  # by the number of cores, in the order of the terms
    active: np.ndarray
    careful: np.ndarray
    least: np.ndarray  # factors of the shares above, at the least
    most: np.ndarray


def fit(samples: Sequence[Sample], trained: Sequence[Run], library: Path) -> Coefficients:
    """The coefficients that fit what was measured."""
    factors = np.array([run.factors for run in trained])
    late = np.array([_late(run) for run in trained])
    one, two = (np.array([_terms(sample, library, cores) for sample in samples]) for cores in CORES)
    alone = _fit_functions(one, samples, terms(library))
    halves = alone * one.sum(0) / two.sum(0) / 2
    pairs = np.array([sample.cycles[2] for sample in samples])
    return Coefficients(
        cycles={1: alone, 2: _fit_near(two / pairs[:, None], halves)},
        active=_fit_share(factors, np.array([run.effort.active for run in trained])),
        careful=_fit_share(factors, np.array([run.effort.careful for run in trained]), late),
        least=factors.min(0),
        most=factors.max(0),
    )


def _late(run: Run) -> float:
    return max(0.0, 1 - c_library.CAREFUL_AFTER / run.steps)


def _efforts(coefficients: Coefficients, trained: Sequence[Run]) -> list[Effort]:
    """The efforts of runs by these coefficients."""
    products = _products(np.array([run.factors for run in trained]))
    active, careful = (_sigmoid(products @ share) for share in (coefficients.active, coefficients.careful))
    return [Effort(*shares) for shares in zip(active, careful * [_late(run) for run in trained], strict=True)]


def _fit_functions(values: np.ndarray, samples: Sequence[Sample], names: Sequence[str]) -> np.ndarray:
    """Coefficients for one core: those of each group of FUNCTIONS by itself, added up.

    The errors are shares of all cycles of a sample, so that what takes little need not be known well.
    """
    found = np.zeros(len(names))
    total = np.array([sample.cycles[1] for sample in samples])
    named = {function for functions, _ in FUNCTIONS for function in functions or ()}
    for functions, allowed in FUNCTIONS:
        counted = np.array(
            [
                sum(
                    count
                    for name, count in sample.functions.items()
                    if (name not in named if functions is None else name in functions)
                )
                for sample in samples
            ]
        )
        columns = [names.index(name) for name in allowed]
        found[columns] += nnls(values[:, columns] / total[:, None], counted / total)[0]
    return found


def _fit_near(shares: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Coefficients of no negative number whose sums of shares are near 1, near to what is expected.

    Each expectation counts as much as a sample of that term's mean share alone: what the samples do not tell apart,
    stays there.
    """
    near = np.diag(shares.mean(0))
    wanted = np.concatenate([np.ones(len(shares)), near @ expected])
    return nnls(np.vstack([shares, near]), wanted)[0]


def terms(library: Path) -> list[str]:
    """Names of the terms of core/training_time.h, in order."""
    return c_library.names(c_library.load(library).microgpt_training_term_name)


def _terms(sample: Sample, library: Path, cores: int) -> np.ndarray:
    """The terms of core/training_time.h for a sample."""
    found = np.empty(len(terms(library)), np.float32)
    c_library.load(library).microgpt_training_terms(
        _c_shape(sample.shape), sample.positions, sample.effort, cores, found.ctypes.data
    )
    return found.astype(float)


def _c_shape(shape: Shape) -> c_library.Shape:
    return c_library.Shape(shape.n_embd, shape.n_head, shape.n_layer, shape.block_size, shape.vocab_size)


def _fit_share(factors: np.ndarray, shares: np.ndarray, most: np.ndarray | float = 1.0) -> np.ndarray:
    """Coefficients of the products of two factors, whose sum makes a share of `most` by the sigmoid of the C.

    For the least errors of the share and a ridge, in factors that are brought to mean 0 and deviation 1, the last
    aside, which is 1.
    """
    mean, deviation = factors.mean(0), factors.std(0)
    mean[-1], deviation[-1] = 0, 1
    terms = _products((factors - mean) / deviation)
    ridge = np.sqrt(RIDGE) * np.eye(terms.shape[1])[:-1]

    def misfit(found: np.ndarray) -> np.ndarray:
        return np.concatenate([most * _sigmoid(terms @ found) - shares, ridge @ found])

    found = least_squares(misfit, np.zeros(terms.shape[1]), method="lm", xtol=1e-12, ftol=1e-12).x
    # back to the factors as they are: found is the upper half of a matrix m of the sum z m z, and z = scaling x
    upper = np.triu_indices(len(mean))
    matrix = np.zeros((len(mean), len(mean)))
    matrix[upper] = found
    scaling = np.diag(1 / deviation)
    scaling[:-1, -1] = -(mean / deviation)[:-1]
    whole = scaling.T @ (matrix + matrix.T) / 2 @ scaling
    return (2 * whole - np.diag(np.diag(whole)))[upper]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return (1 + x / np.sqrt(1 + x**2)) / 2


def _products(factors: np.ndarray) -> np.ndarray:
    """Every product of two factors, row by row of their square."""
    first, second = np.triu_indices(factors.shape[1])
    return factors[:, first] * factors[:, second]


def text(coefficients: Coefficients, names: Sequence[str]) -> str:
    """The C file that defines them."""
    lines = [
        "// SPDX-License-Identifier: MIT",
        "// Written by `scons bench`: site_scons/mgbuild/emulated/time_model.py.",
    ]
    lines += ['#include "core/training_time.h"', "", "const struct training_fit training_fit = {", "    .cycles = {"]
    for values in coefficients.cycles.values():
        lines.append("        {")
        lines += [f"            [TERM_{name}] = {_c(value)}," for name, value in zip(names, values, strict=True)]
        lines.append("        },")
    lines.append("    },")
    for name in ("active", "careful", "least", "most"):
        lines.append(f"    .{name} = {{")
        lines += [f"        {_c(value)}," for value in getattr(coefficients, name)]
        lines.append("    },")
    lines.append("};")
    return "\n".join(lines) + "\n"


def _c(value: float) -> str:
    return f"{value:.6e}f"


def errors(samples: Sequence[Sample], coefficients: Coefficients, library: Path, cores: int) -> np.ndarray:
    """Relative errors of modelled cycles: above 0 where the model says more than was counted."""
    modelled = np.array([_terms(sample, library, cores) for sample in samples]) @ coefficients.cycles[cores]
    return modelled / [sample.cycles[cores] for sample in samples] - 1


def committed_errors(samples: Sequence[Sample], library: Path, cores: int) -> np.ndarray:
    """The same of what training_cycles() says as it is compiled into the library."""
    c = c_library.load(library)
    return np.array(
        [
            c.microgpt_training_cycles(_c_shape(sample.shape), sample.positions, sample.effort, cores)
            / sample.cycles[cores]
            - 1
            for sample in samples
        ]
    )


@dataclass(frozen=True)
class Found:
    """What was measured and fitted."""

    fitted: list[Sample]
    held_out: list[Sample]
    trained: list[Run]
    coefficients: Coefficients
    changed: float  # the most that a step's cycles, or an effort, differ from what the library's coefficients say


def find(names: Text, plugin: Path, firmware: Path, library: Path) -> Found:
    """Measure all cases, and fit. firmware: for the emulated core, with the assembly kernels and two cores."""
    fitted, held_out = (
        [measure(case, names, plugin, firmware, library) for case in cases] for cases in (CASES, HELD_OUT)
    )
    trained = runs(names, library)
    coefficients = fit(fitted, trained, library)
    every = [*fitted, *held_out]
    changes = [
        np.abs(errors(every, coefficients, library, cores) - committed_errors(every, library, cores)).max()
        for cores in CORES
    ]
    for run, effort in zip(trained, _efforts(coefficients, trained), strict=True):
        changes += [abs(effort.active - run.estimated.active), abs(effort.careful - run.estimated.careful)]
    return Found(fitted, held_out, trained, coefficients, float(max(changes)))


def write(found: Found, library: Path) -> bool:
    """Rewrite COEFFICIENTS if what they say would change by more than CHANGED somewhere; returns whether it was."""
    if found.changed <= CHANGED:
        return False
    build_folder.write(COEFFICIENTS, text(found.coefficients, terms(library)).encode("ascii"))
    return True


def results(found: Found, library: Path) -> dict[str, Any]:
    """Relative errors as JSON has them, their sizes but for the mean.

    Of the cases that were fitted and of those that were not, by the number of cores; and those that the estimate of the
    effort alone makes, in runs of up to LONG steps and in longer ones.
    """
    summary: dict[str, Any] = {"changed": found.changed}
    for name, samples in (("fitted", found.fitted), ("held_out", found.held_out)):
        for cores in CORES:
            summary[f"{name}_{cores}"] = _summary(errors(samples, found.coefficients, library, cores))
    c = c_library.load(library)
    for name, is_among in (("short_runs", lambda run: run.steps <= LONG), ("long_runs", lambda run: run.steps > LONG)):
        error = []
        for run, effort in zip(found.trained, _efforts(found.coefficients, found.trained), strict=True):
            if is_among(run):
                estimated, real = (
                    c.microgpt_training_cycles(_c_shape(run.shape), run.positions, each, 1)
                    for each in (effort, run.effort)
                )
                error.append(estimated / real - 1)
        summary[name] = _summary(np.array(error))
    return summary


def _summary(error: np.ndarray) -> dict[str, float]:
    sizes = np.abs(error)
    return {
        "cases": len(error),
        "median": float(np.median(sizes)),
        "tenth": float(np.quantile(sizes, 0.9)),
        "worst": float(sizes.max()),
        "mean": float(error.mean()),
    }
