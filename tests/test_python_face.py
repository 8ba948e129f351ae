"""The learner from Python (site_scons/microgpt): the same bits as the program's, errors in the C side's words."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from conftest import ROOT, Programs
from mgbuild.errors import UserError
from microgpt import Error, Learner, Text

from python_ref import numpy_gpt
from python_ref.model import Shape

GOLDEN = json.loads((ROOT / "tests" / "golden" / "microgpt-seed42.json").read_text())
NAMES = ROOT / "data" / "names.txt"


@pytest.fixture(scope="module")
def text() -> Text:
    return Text.open(NAMES)


@pytest.fixture(scope="module")
def learner(programs: Programs, text: Text) -> Callable[..., Learner]:
    """Function from options to a learner of the names."""
    return lambda **options: Learner(text, path=programs.library(), **options)


def test_seed_42_gives_microgpt_pys_losses_names_and_checksum(learner: Callable[..., Learner]) -> None:
    """float32 drifts from float64 by 8.8e-7 in the losses at worst, measured."""
    model = learner()
    assert np.abs(model.train() - GOLDEN["losses"]).max() < 1e-5
    assert [model.sample() for _ in range(20)] == GOLDEN["samples"]
    assert model.checksum == "e5240774"


def test_training_in_pieces_is_training_in_one(learner: Callable[..., Learner]) -> None:
    whole, pieces = learner(steps=100), learner(steps=100)
    seen: list[tuple[int, float]] = []
    losses = np.concatenate(
        [
            pieces.train(33),
            pieces.train(0),
            pieces.train(50, lambda step, loss: seen.append((step, loss)), every=20),
            pieces.train(),
        ]
    )
    assert np.array_equal(losses, whole.train())
    assert [step for step, _ in seen] == [53, 73, 83]
    assert [loss for _, loss in seen] == [losses[52], losses[72], losses[82]]
    assert pieces.checksum == whole.checksum
    assert pieces.steps_taken == 100
    with pytest.raises(Error, match="1 steps: 0 of 100 are left"):
        pieces.train(1)


@pytest.mark.parametrize(
    "options",
    [{"seed": 3}, {"n_layer": 2, "n_embd": 8, "seed": 5}, {"n_embd": 8, "block_size": 4}, {"lr": 0.1}],
    ids=str,
)
def test_comparing_every_second_moment_changes_no_bit(
    options: dict[str, float], learner: Callable[..., Learner]
) -> None:
    """Writing the weights, with the same values, makes the learner forget that all second moments are large."""
    whole, forgetful = learner(steps=300, **options), learner(steps=300, **options)
    whole.train()
    for _ in range(300):
        forgetful.train(1)
        forgetful.weights = forgetful.weights
    assert forgetful.checksum == whole.checksum


def test_learners_in_several_threads_do_not_meet(learner: Callable[..., Learner]) -> None:
    shapes = [dict(seed=seed, n_embd=4 * (1 + seed % 3), n_layer=1 + seed % 2, steps=200) for seed in range(8)]
    alone = []
    for shape in shapes:
        model = learner(**shape)
        model.train()
        alone.append(model.checksum)
    together = [learner(**shape) for shape in shapes]
    threads = [threading.Thread(target=model.train) for model in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [model.checksum for model in together] == alone
    assert len(set(alone)) == len(alone)


def test_weights_go_out_and_in_under_microgpt_pys_names(learner: Callable[..., Learner]) -> None:
    trained, other = learner(steps=50), learner(seed=7, steps=50)
    trained.train()
    shape = Shape(vocab_size=27)
    assert [(t.name, t.rows, t.columns, t.offset) for t in trained.tensors()] == list(shape.tensors())
    weights = trained.weights
    assert {name: values.shape for name, values in weights.items()} == {
        tensor.name: (tensor.rows, tensor.columns) for tensor in shape.tensors()
    }
    other.sample()
    other.weights = weights
    assert other.checksum == trained.checksum
    assert np.array_equal(other.loss("emma"), trained.loss("emma"))
    assert other.next() == trained.next()
    weights["wte"][:] = 0
    assert other.checksum == trained.checksum, "weights are copies"


@pytest.mark.parametrize(
    "change", [lambda w: w.pop("wpe"), lambda w: w.update(wte=w["wte"].T), lambda w: w.update(x=w["wte"])]
)
def test_weights_of_another_model_are_refused_and_nothing_changes(
    change: Callable[[dict[str, np.ndarray]], object], learner: Callable[..., Learner]
) -> None:
    model = learner()
    before = model.checksum
    weights = model.weights
    change(weights)
    with pytest.raises(ValueError, match="not a model of this shape: (wpe|wte|x)$"):
        model.weights = weights
    assert model.checksum == before


def test_losses_and_probabilities_are_the_references(learner: Callable[..., Learner], text: Text) -> None:
    """float32 against float64 of the same weights: 1e-6 of a probability."""
    model = learner(steps=300)
    model.train()
    shape = Shape(vocab_size=27)
    parameters = np.concatenate([values.ravel() for values in model.weights.values()]).astype(np.float64)
    reference = numpy_gpt.Learner(shape, parameters)
    bos = shape.vocab_size - 1
    for name in ("emma", "x", "annabellamariaxx"):
        tokens = [bos, *text.encode(name), bos]
        losses = []
        for position in range(min(len(tokens) - 1, shape.block_size)):
            logits = np.asarray(reference.predict(tokens[: position + 1]))
            probabilities = np.exp(logits - logits.max())
            probabilities /= probabilities.sum()
            losses.append(-np.log(probabilities[tokens[position + 1]]))
            found = model.next(name[:position])
            assert np.abs(np.array([*found.values()]) - probabilities).max() < 1e-6
        assert np.abs(model.loss(name) - losses).max() < 1e-5


def test_many_documents_are_scored_as_each_by_itself(learner: Callable[..., Learner], text: Text) -> None:
    model = learner(steps=50, block_size=7)
    model.train()
    documents = ["a", "emma", "annabellamariaxx", *text.documents[:50]]
    found = model.losses(text.encode_all(["", *documents]))
    assert found[0] == pytest.approx(float(model.loss("").sum()))
    assert found[1:] == pytest.approx([float(model.loss(document).sum()) for document in documents], rel=1e-6)
    assert len(model.losses(text.encode_all([]))) == 0


def test_an_alphabet_may_have_more_than_its_text(programs: Programs) -> None:
    model = Learner(Text.of(["ab", "b"], alphabet="az"), path=programs.library(), steps=5)
    assert model.text.characters == "abz"
    assert len(model.loss("zz")) == 3


def test_asking_changes_nothing(learner: Callable[..., Learner]) -> None:
    asked, silent = learner(steps=100), learner(steps=100)
    for model in (asked, silent):
        model.train(50)
    asked.loss("emma")
    asked.next("em")
    asked.gradient("emma")
    for model in (asked, silent):
        model.train(50)
    assert asked.checksum == silent.checksum
    assert asked.sample() == silent.sample()


def test_a_completion_begins_with_what_was_given(learner: Callable[..., Learner]) -> None:
    model = learner()
    model.train()
    found = {model.complete("kar", temperature=1.0) for _ in range(30)}
    assert len(found) > 5
    assert all(name.startswith("kar") for name in found)
    assert model.complete("a" * 16) == "a" * 16


def test_another_alphabet(programs: Programs) -> None:
    model = Learner(
        Text.of(["łódź", "大阪", "🦊", "o"]), path=programs.library(), n_embd=8, n_head=2, steps=200, lr=0.05
    )
    model.train()
    assert model.sample(temperature=0.1) in {"łódź", "大阪", "🦊", "o"}
    assert set(model.next("大")) == {*"łódź大阪🦊o", ""}


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda m: m.complete("Emma"), ValueError, "'E' is not among the characters"),
        (lambda m: m.loss("é"), ValueError, "'é' is not among the characters"),
        (lambda m: m.next("a" * 16), ValueError, "a prefix of 16 characters is longer than 15"),
        (lambda m: m.complete("a" * 17), ValueError, "a prefix of 17 characters is longer than 16"),
        (lambda m: m.sample(0), ValueError, "temperature=0 must be above 0"),
        (lambda m: m.sample(float("nan")), ValueError, "temperature=nan must be above 0"),
        (lambda m: m.train(1001), Error, "1001 steps: 1000 of 1000 are left"),
    ],
)
def test_a_question_without_an_answer_is_a_sentence(
    call: Callable[[Learner], object], error: type[Exception], sentence: str, learner: Callable[..., Learner]
) -> None:
    with pytest.raises(error, match=sentence):
        call(learner())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_embd": 18}, "n_embd=18 is not divisible by n_head=4"),
        ({"n_embd": 0}, "n_embd=0 must be from 1 to 1024"),
        ({"block_size": 2000}, "block_size=2000 must be from 1 to 1024"),
        ({"n_layer": -1}, "must be positive"),
        ({"steps": 0}, "steps=0 must be from 1 to 10000000"),
        ({"lr": 0}, "lr=0 above 0"),
    ],
)
def test_a_model_that_cannot_be_is_a_sentence(
    options: dict[str, float], sentence: str, learner: Callable[..., Learner]
) -> None:
    with pytest.raises(Error, match=sentence):
        learner(**options)


def test_texts_that_cannot_be_learned_are_sentences() -> None:
    with pytest.raises(UserError, match="the text is empty"):
        Text.of(["", "  "])
    with pytest.raises(UserError, match="256 distinct characters"):
        Text.of(map(chr, range(0x4E00, 0x4E00 + 256)))
    Text.of(map(chr, range(0x4E00, 0x4E00 + 255)))


def test_the_library_shows_nothing_but_its_own_interface(programs: Programs) -> None:
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", programs.library()], capture_output=True, text=True, check=True
    ).stdout
    names = [line.split()[2] for line in listing.splitlines()]
    assert len(names) > 10
    assert [name for name in names if not name.startswith("microgpt_")] == []


def test_the_readmes_example_runs(programs: Programs) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin = readme.index("    from microgpt import")
    example = readme[begin : readme.index("\n\n", readme.index("print(", begin))]
    code = "\n".join(line.removeprefix("    ") for line in example.splitlines())
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": "site_scons", "MICROGPT_LIBRARY": str(programs.library())},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "e5240774" in result.stdout


def random_text(rng: random.Random, characters: int) -> list[str]:
    """Documents that use so many characters, for other tests too."""
    alphabet = [chr(0x61 + index) if index < 26 else chr(0x4E00 + index) for index in range(characters)]
    return ["".join(alphabet), *("".join(rng.choices(alphabet, k=rng.randrange(1, 12))) for _ in range(20))]
