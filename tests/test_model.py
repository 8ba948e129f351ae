"""The model in C against the NumPy reference: every gradient of every parameter, at several shapes."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Programs
from learner import Learner, options

from python_ref import numpy_gpt, vectors
from python_ref.corpus import Tokenizer, characters
from python_ref.model import Shape, initial_parameters

MODELS = [name for name in vectors.FAMILIES if name.startswith("model_")]

# Relative to the largest gradient of its tensor. float32 rounds each of some 100 operations behind a gradient by at
# most 6e-8, mostly in different directions. Measured over all shapes and documents below: 1.1e-6 at worst.
GRADIENT_TOLERANCE = 2e-6
LOSS_TOLERANCE = 1e-6


@pytest.fixture
def learner(programs: Programs, tmp_path: Path) -> Callable[[Shape, list[str]], Learner]:
    """Function that builds the library for a shape and a list of documents, and loads it."""

    def load(shape: Shape, documents: list[str]) -> Learner:
        text = tmp_path / "documents.txt"
        text.write_text("\n".join(documents))
        chosen = options(shape) | {"dataset": text}
        programs.library(**chosen)
        return Learner(programs.load(**chosen), shape, programs.dataset(**chosen))

    return load


def assert_gradients_equal(shape: Shape, got: np.ndarray, wanted: np.ndarray) -> None:
    for tensor in shape.tensors():
        end = tensor.offset + tensor.rows * tensor.columns
        difference = np.abs(got[tensor.offset : end] - wanted[tensor.offset : end]).max()
        largest = np.abs(wanted[tensor.offset : end]).max()
        assert difference <= GRADIENT_TOLERANCE * largest, f"{tensor.name}: {difference} of {largest}"


@pytest.mark.parametrize("name", MODELS)
def test_loss_and_every_gradient_equal_the_vectors(name: str, learner: Callable[..., Learner]) -> None:
    content = vectors.load(name)
    shape = Shape(**content["shape"])
    model = learner(shape, [content["characters"]])
    for document in content["documents"]:
        loss, gradients = model.gradients(content["parameters"], document["tokens"])
        assert loss == pytest.approx(float(document["loss"]), abs=LOSS_TOLERANCE)
        assert_gradients_equal(shape, gradients, document["gradients"])


@pytest.mark.parametrize(
    "shape",
    [
        Shape(vocab_size=27),
        Shape(vocab_size=27, n_layer=3, n_embd=20, n_head=5, block_size=11),
        Shape(vocab_size=27, n_embd=7, n_head=7, block_size=1),
        Shape(vocab_size=27, n_embd=32, n_head=2, block_size=24),
    ],
    ids=str,
)
def test_every_gradient_equals_numpy_at_freshly_drawn_weights(shape: Shape, learner: Callable[..., Learner]) -> None:
    documents = ["emma", "a", "zz", "the quick brown fox jumps over the lazy dog".replace(" ", "")]
    tokenizer = Tokenizer(characters(documents))
    model = learner(shape, documents)
    parameters = np.array(initial_parameters(shape, random.Random(7))).astype(np.float32)
    for document in documents:
        tokens = tokenizer.encode(document)
        wanted_loss, wanted = numpy_gpt.loss_and_gradients(parameters.astype(np.float64), shape, tokens)
        loss, gradients = model.gradients(parameters, tokens)
        assert loss == pytest.approx(wanted_loss, abs=LOSS_TOLERANCE)
        assert_gradients_equal(shape, gradients, wanted)
