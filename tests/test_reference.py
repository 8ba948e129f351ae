"""The references compute what microgpt.py computes, agree with each other, and the vectors are theirs."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest

from python_ref import autograd, corpus, numpy_gpt, training, vectors
from python_ref.model import Shape, initial_parameters
from python_ref.training import Recipe

ROOT = Path(__file__).parents[1]
DEFAULT = Shape(vocab_size=27)

# Shape, and documents as tokens: ordinary, a single character, longer than block_size, and a repeated character.
SHAPES = {
    "default": (DEFAULT, [[26, 10, 0, 12, 14, 13, 26], [26, 16, 26], [26, *[0, 11, 4] * 7, 26]]),
    "two layers": (Shape(9, n_layer=2, n_embd=12, n_head=3, block_size=8), [[8, 1, 1, 7, 8], [8, *[0, 5, 3] * 3, 8]]),
    "odd": (Shape(6, n_layer=1, n_embd=10, n_head=2, block_size=5), [[5, 3, 5], [5, 0, 1, 2, 3, 4, 0, 5]]),
    "one head": (Shape(4, n_layer=3, n_embd=4, n_head=1, block_size=3), [[3, 2, 2, 3], [3, 0, 3]]),
    "heads of one": (Shape(4, n_layer=1, n_embd=3, n_head=3, block_size=4), [[3, 0, 1, 2, 3]]),
    "block of one": (Shape(3, n_layer=1, n_embd=2, n_head=1, block_size=1), [[2, 0, 1, 2]]),
    "no characters": (Shape(3, n_layer=1, n_embd=4, n_head=2, block_size=4), [[2, 2]]),
}
SHAPES_AND_DOCUMENTS = [
    pytest.param(shape, tokens, id=f"{name} {len(tokens) - 2} characters")
    for name, (shape, documents) in SHAPES.items()
    for tokens in documents
]


def spread_parameters(shape: Shape) -> np.ndarray:
    """Weights large enough that attention is far from uniform, unlike those at the start of training."""
    rng = random.Random(3)
    return np.array([rng.uniform(-0.4, 0.4) for _ in range(shape.parameter_count)])


@pytest.fixture(scope="module")
def golden() -> dict:
    """What microgpt.py printed and held in the end, on data/names.txt with seed 42."""
    return json.loads((ROOT / "tests" / "golden" / "microgpt-seed42.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def names() -> list[str]:
    return corpus.documents(ROOT / "data" / "names.txt")


@pytest.fixture(scope="module")
def numpy_run(names: list[str]) -> training.Run:
    return numpy_gpt.train(names, DEFAULT)


class TestMicrogpt:
    """The whole path of microgpt.py: data, shuffle, weights, training, names."""

    def test_data_and_shape(self, golden, names):
        assert len(names) == golden["num_docs"]
        assert len(corpus.characters(names)) + 1 == golden["vocab_size"]
        assert DEFAULT.parameter_count == golden["num_params"]

    def test_numpy_losses_of_all_steps(self, golden, numpy_run):
        assert len(numpy_run.losses) == 1000
        np.testing.assert_allclose(numpy_run.losses, golden["losses"], rtol=0, atol=1e-9)  # measured: 2e-15

    def test_numpy_final_parameters(self, golden, numpy_run):
        np.testing.assert_allclose(numpy_run.parameters, golden["final_params"], rtol=0, atol=1e-7)  # measured: 3e-15

    def test_numpy_names(self, golden, numpy_run):
        assert numpy_run.samples == golden["samples"]

    def test_scalar_losses(self, golden, names):
        """Ten steps only: each builds a graph of some hundred thousand values and takes 0.15 s."""
        run = autograd.train(names, DEFAULT, Recipe(stop_after=10, samples=0))
        np.testing.assert_allclose(run.losses, golden["losses"][:10], rtol=0, atol=1e-9)  # measured: 9e-16

    def test_scalar_names(self, numpy_run):
        """Both models draw the same from the same state of the generator."""
        drawn = []
        for module in (autograd, numpy_gpt):
            model, rng = module.Learner(DEFAULT, numpy_run.parameters), random.Random(7)
            drawn.append([list(training.sample(model, DEFAULT, rng, temperature=0.5)) for _ in range(3)])
        assert drawn[0] == drawn[1]


class TestTraining:
    SHAPE = Shape(4, n_layer=2, n_embd=4, n_head=2, block_size=3)
    DOCUMENTS = ["abc", "cab", "b", "aaaaaa", "bc"]

    def test_scalar_and_numpy_runs_are_alike(self):
        """Other shape, seed and settings than microgpt.py's, more steps than documents, samples that fill the block."""
        recipe = Recipe(seed=-5, steps=40, learning_rate=0.02, temperature=2.0, samples=8)
        scalar, array = (module.train(self.DOCUMENTS, self.SHAPE, recipe) for module in (autograd, numpy_gpt))
        np.testing.assert_allclose(scalar.losses, array.losses, rtol=0, atol=1e-12)  # measured: 4e-16
        np.testing.assert_allclose(scalar.parameters, array.parameters, rtol=0, atol=1e-12)  # measured: 4e-16
        assert scalar.samples == array.samples
        assert max(map(len, array.samples)) == self.SHAPE.block_size

    def test_stopping_early_changes_no_step(self):
        whole = numpy_gpt.train(self.DOCUMENTS, self.SHAPE, Recipe(steps=20, samples=0))
        part = numpy_gpt.train(self.DOCUMENTS, self.SHAPE, Recipe(steps=20, samples=0, stop_after=5))
        assert part.losses == whole.losses[:5]

    def test_every_step_is_reported(self):
        reports = []
        recipe = Recipe(steps=6, samples=0)
        run = numpy_gpt.train(self.DOCUMENTS, self.SHAPE, recipe, on_step=lambda *report: reports.append(report))
        assert reports == list(enumerate(run.losses))

    def test_documents_keep_their_order(self):
        documents = list(self.DOCUMENTS)
        numpy_gpt.train(documents, self.SHAPE, Recipe(steps=1, samples=0))
        assert documents == self.DOCUMENTS

    def test_wrong_vocabulary_is_refused(self):
        with pytest.raises(ValueError, match="vocabulary of 4, the shape is for one of 5"):
            numpy_gpt.train(self.DOCUMENTS, Shape(5))
        with pytest.raises(ValueError, match="0 documents"):
            numpy_gpt.train([], Shape(2))

    @pytest.mark.parametrize(
        "settings",
        [{"steps": 0}, {"samples": -1}, {"temperature": 0.0}, {"temperature": float("nan")}, {"stop_after": -1}],
    )
    def test_senseless_settings_are_refused(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            Recipe(**settings)


class TestGradients:
    @pytest.mark.parametrize(("shape", "tokens"), SHAPES_AND_DOCUMENTS)
    @pytest.mark.parametrize("weights", ["initial", "spread"])
    def test_numpy_equals_scalar(self, shape, tokens, weights):
        """Every parameter, relative to the largest gradient. Measured: 7e-16."""
        parameters = (
            spread_parameters(shape) if weights == "spread" else np.array(initial_parameters(shape, random.Random(1)))
        )
        scalar_loss, scalar = autograd.loss_and_gradients(parameters.tolist(), shape, tokens)
        loss, gradients = numpy_gpt.loss_and_gradients(parameters, shape, tokens)
        assert loss == pytest.approx(scalar_loss, rel=1e-13)
        np.testing.assert_allclose(gradients, scalar, rtol=0, atol=1e-13 * np.max(np.abs(scalar)))

    @pytest.mark.parametrize(
        ("shape", "tokens"),
        [
            pytest.param(Shape(5, n_layer=2, n_embd=6, n_head=2, block_size=4), [4, 0, 1, 3, 2, 2, 4], id="longer"),
            pytest.param(Shape(5, n_layer=2, n_embd=6, n_head=3, block_size=5), [4, 0, 4], id="one character"),
            pytest.param(Shape(6, n_layer=1, n_embd=5, n_head=1, block_size=4), [5, 1, 1, 5], id="one head"),
        ],
    )
    def test_numpy_equals_finite_differences(self, shape, tokens):
        """Every parameter, by the five-point formula: its error, h^4, is below what rounding costs, 2^-52 / h.

        The bound is relative to the largest gradient. Measured: 9e-12.
        """
        h = 1e-4
        parameters = spread_parameters(shape)
        inputs, targets = shape.split(tokens)

        def loss(index: int, offset: float) -> float:
            moved = parameters.copy()
            moved[index] += offset
            return numpy_gpt.cross_entropy(numpy_gpt.forward(moved, shape, inputs).logits, targets)[0]

        differences = [
            (8 * (loss(i, h) - loss(i, -h)) - (loss(i, 2 * h) - loss(i, -2 * h))) / (12 * h)
            for i in range(shape.parameter_count)
        ]
        _, gradients = numpy_gpt.loss_and_gradients(parameters, shape, tokens)
        np.testing.assert_allclose(gradients, differences, rtol=0, atol=3e-11 * np.max(np.abs(gradients)))

    def test_deep_graphs_stay_clear_of_the_recursion_limit(self):
        start = autograd.Value(1.0)
        value = start
        for _ in range(100_000):
            value = value.shift(1.0)
        value.backward()
        assert (value.data, start.grad) == (100_001.0, 1.0)

    def test_a_value_used_twice_gets_both_gradients(self):
        x = autograd.Value(3.0)
        y = x * x
        (y * x + y).backward()
        assert x.grad == 3 * 3.0**2 + 2 * 3.0


class TestShape:
    def test_parameters_lie_in_order_without_gaps(self):
        shape = Shape(5, n_layer=2, n_embd=6, n_head=2, block_size=3)
        tensors = list(shape.tensors())
        assert [tensor.name for tensor in tensors[:3]] == ["wte", "wpe", "lm_head"]
        assert [tensor.name.split("_")[-1] for tensor in tensors[3:]] == ["wq", "wk", "wv", "wo", "fc1", "fc2"] * 2
        for tensor, following in itertools.pairwise(tensors):
            assert following.offset == tensor.offset + tensor.rows * tensor.columns
        assert shape.parameter_count == (2 * 5 + 3) * 6 + 2 * 12 * 6**2

    def test_views_share_the_vector(self):
        shape = Shape(3, n_embd=2, n_head=1, block_size=2)
        vector = np.zeros(shape.parameter_count)
        weights = numpy_gpt.views(vector, shape)
        weights["wpe"][1, 0] = 7.0
        assert vector[3 * 2 + 2] == 7.0

    @pytest.mark.parametrize(
        ("sizes", "message"),
        [
            ({"n_embd": 15}, "n_embd 15 is not divisible by n_head 4"),
            ({"n_layer": 0}, "n_layer is 0"),
            ({"block_size": -1}, "block_size is -1"),
            ({"n_head": 2.0}, "n_head is 2.0"),
            ({"vocab_size": 1}, "vocab_size is 1"),
        ],
    )
    def test_impossible_shapes_are_refused(self, sizes, message):
        with pytest.raises(ValueError, match=message):
            Shape(**({"vocab_size": 27} | sizes))

    def test_a_document_is_cut_to_the_block(self):
        assert Shape(4, block_size=2).split([3, 0, 1, 2, 3]) == ([3, 0], [0, 1])
        assert Shape(4, block_size=9).split([3, 0, 3]) == ([3, 0], [0, 3])
        with pytest.raises(ValueError, match="nothing to predict"):
            Shape(4).split([3])


class TestCorpus:
    def test_lines_are_stripped_and_blank_ones_skipped(self, tmp_path):
        path = tmp_path / "text.txt"
        path.write_bytes("  zoë \r\n\n\t\nab c\rlast".encode())
        assert corpus.documents(path) == ["zoë", "ab c", "last"]

    def test_other_encodings_are_refused(self, tmp_path):
        path = tmp_path / "text.txt"
        path.write_bytes("zoë".encode("latin-1"))
        with pytest.raises(UnicodeDecodeError):
            corpus.documents(path)

    def test_tokens_are_ranks_of_characters_between_bos(self):
        tokenizer = corpus.Tokenizer(corpus.characters(["zoë", "a z"]))
        assert tokenizer.characters == " aozë"
        assert tokenizer.encode("zoë") == [5, 3, 2, 4, 5]
        assert tokenizer.decode([3, 2, 4]) == "zoë"
        with pytest.raises(ValueError, match="'q', which is not in the vocabulary"):
            tokenizer.encode("q")


class TestVectors:
    def test_committed_files_are_current(self):
        assert vectors.main(["--check"]) == 0
        assert {path.stem for path in vectors.FOLDER.iterdir()} == set(vectors.FAMILIES)

    def test_writing_is_deterministic(self, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        assert len(vectors.write(first)) == len(vectors.write(second)) == len(vectors.FAMILIES)
        for path in first.iterdir():
            assert path.read_bytes() == (second / path.name).read_bytes()
        assert vectors.write(first) == []

    def test_stale_and_missing_files_are_named(self, tmp_path, capsys):
        vectors.write(tmp_path)
        changed, missing = tmp_path / "matmul.json", tmp_path / "adam.json"
        content = json.loads(changed.read_text(encoding="utf-8"))
        content["cases"][0]["y"]["float64"][0][0] *= 1 + 1e-8
        changed.write_text(json.dumps(content), encoding="utf-8")
        missing.unlink()

        assert vectors.main(["--check", "--folder", str(tmp_path)]) == 1
        report = capsys.readouterr().err.splitlines()
        assert [line.split(" is stale: ")[0] for line in report] == [str(changed), str(missing)]
        assert vectors.main(["--folder", str(tmp_path)]) == 0
        assert vectors.main(["--check", "--folder", str(tmp_path)]) == 0

    def test_arrays_come_back_as_written(self):
        case = vectors.load("matmul")["cases"][3]
        assert case["x"].dtype == np.float32 and case["y"].dtype == np.float64
        np.testing.assert_allclose(
            case["y"], case["x"].astype(np.float64) @ case["w"].astype(np.float64).T, rtol=1e-9, atol=1e-14
        )
