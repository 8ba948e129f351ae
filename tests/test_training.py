"""Whole runs: the names, losses and bits that the project promises, on the host and on the emulated core."""

import json
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, RUN_TIMEOUT, Completed, Programs, options
from mgbuild.emulated import emulator
from microgpt import Learner, Text

from python_ref import numpy_gpt
from python_ref.corpus import Tokenizer, characters, documents
from python_ref.model import Shape
from python_ref.training import Recipe, Run

NAMES = ROOT / "data" / "names.txt"
GOLDEN = json.loads((ROOT / "tests" / "golden" / "microgpt-seed42.json").read_text())

# Losses are read as printed, to four decimals. float32 training drifts from float64, by 8.8e-7 at worst at seed 42.
# Some seeds meet a ReLU whose input lies within 1e-6 of zero and decide it the other way, as any float32 training may:
# of the seeds 0 to 39 five do, three leave this tolerance, and one ends with another name. These seeds do not.
LOSS_TOLERANCE = 1e-4

OTHER_MODELS = [
    (Shape(vocab_size=27, n_layer=2, n_embd=12, n_head=3, block_size=8), 42),
    (Shape(vocab_size=27, n_layer=1, n_embd=10, n_head=2, block_size=5), 42),
    (Shape(vocab_size=27, n_layer=1, n_embd=7, n_head=1, block_size=3), 1),
    (Shape(vocab_size=27, n_layer=3, n_embd=20, n_head=5, block_size=16), 42),
]


def losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"^step +\d+ / +\d+ \| loss (\S+)$", output, re.MULTILINE)]


def names(output: str) -> list[str]:
    return re.findall(r"^sample +\d+: (.*)$", output, re.MULTILINE)


def checksum(output: str) -> str:
    found = re.search(r"^weights crc32: ([0-9a-f]{8})$", output, re.MULTILINE)
    assert found, output
    return found[1]


def reference(shape: Shape, recipe: Recipe, text: Path = NAMES) -> Run:
    return numpy_gpt.train(documents(text), shape, recipe)


@pytest.mark.parametrize("run", [Programs.run_host, Programs.run_sim], ids=["host", "sim"])
def test_seed_42_gives_the_losses_and_names_of_microgpt_py(run: Callable[..., Completed], programs: Programs) -> None:
    output = run(programs, log_every=1).stdout
    difference = np.abs(np.array(losses(output)) - np.array(GOLDEN["losses"]))
    assert len(difference) == 1000
    assert difference.max() < LOSS_TOLERANCE
    assert names(output) == GOLDEN["samples"]


def test_the_console_is_what_microgpt_py_prints(programs: Programs) -> None:
    printed = [1, *range(100, 1001, 100)]
    expected = ["num docs: 32033", "vocab size: 27", "num params: 4192"]
    expected += [f"step {step:4d} / 1000 | loss {GOLDEN['losses'][step - 1]:.4f}" for step in printed]
    expected += ["", "--- inference (new, hallucinated names) ---"]
    expected += [f"sample {number:2d}: {name}" for number, name in enumerate(GOLDEN["samples"], 1)]
    output = programs.run_host().stdout
    assert output.splitlines()[:-1] == expected
    assert checksum(output)


def test_final_weights_stay_close_to_float64(programs: Programs) -> None:
    """A thousand float32 steps, measured: 2.1e-6 at worst."""
    learner = Learner(Text.open(NAMES), path=programs.library())
    learner.train()
    weights = np.concatenate([values.ravel() for values in learner.weights.values()])
    assert np.abs(weights - np.array(GOLDEN["final_params"])).max() < 1e-5
    assert f"{zlib.crc32(weights.tobytes()):08x}" == checksum(programs.run_host().stdout) == learner.checksum


def test_a_name_depends_on_the_weights_and_the_temperature_alone(programs: Programs) -> None:
    """What follows BOS is predicted once for many documents, but anew after training and for another temperature."""
    text = Text.open(NAMES)

    def begin(seed: int) -> Learner:
        return Learner(text, seed=seed, path=programs.library())

    def likeliest(learner: Learner) -> str:
        return learner.sample(temperature=1e-3)

    def openings(learner: Learner) -> set[str]:
        return {learner.sample(temperature=20.0)[:1] for _ in range(20)}

    learner = begin(4)
    learner.train(20)
    assert len(openings(learner)) > 5
    early = likeliest(learner)
    assert all(likeliest(learner) == early for _ in range(5))
    assert len(openings(learner)) > 5
    likeliest(learner)
    learner.train(280)
    late = likeliest(learner)
    assert early[0] != late[0]
    other = begin(4)
    other.train(20)
    assert likeliest(other) == early
    untrained = begin(5)
    first = likeliest(untrained)
    untrained.loss("emma")
    assert likeliest(untrained) == first


@pytest.mark.parametrize("seed", [0, 1, 7, 1337, -3, 2**31, 2**32 + 5, 10**30])
def test_any_seed_gives_the_run_of_that_random_seed(seed: int, programs: Programs) -> None:
    run = reference(Shape(vocab_size=27), Recipe(seed=seed))
    output = programs.run_host(seed=seed, log_every=1).stdout
    assert np.abs(np.array(losses(output)) - np.array(run.losses)).max() < LOSS_TOLERANCE
    assert names(output) == run.samples


@pytest.mark.parametrize(("shape", "seed"), OTHER_MODELS, ids=str)
def test_other_shapes_give_the_reference_and_the_same_bits_on_host_and_sim(
    shape: Shape, seed: int, programs: Programs
) -> None:
    run = reference(shape, Recipe(seed=seed))
    host = programs.run_host(log_every=1, seed=seed, **options(shape)).stdout
    sim = programs.run_sim(log_every=1, seed=seed, **options(shape)).stdout
    assert np.abs(np.array(losses(host)) - np.array(run.losses)).max() < LOSS_TOLERANCE
    assert names(host) == run.samples
    assert sim == host


def test_the_default_shape_has_the_same_bits_on_host_and_sim(programs: Programs) -> None:
    assert programs.run_sim().stdout == programs.run_host().stdout


def test_another_text_in_another_alphabet(programs: Programs, tmp_path: Path) -> None:
    """Code points of one to four bytes of UTF-8, lines longer than block_size, more steps than documents."""
    rng = random.Random(3)
    syllables = ["zür", "ích", "大", "阪", "köln", "łódź", "🦊", "é", "o"]
    lines = ["".join(rng.choices(syllables, k=rng.randrange(1, 12))) for _ in range(40)]
    text = tmp_path / "cities.txt"
    text.write_text("\n".join(f"  {line}\t" if index % 3 else line + "\n" for index, line in enumerate(lines)))
    shape = Shape(vocab_size=Tokenizer(characters(documents(text))).vocab_size, block_size=12)
    recipe = Recipe(seed=5, steps=90, samples=7, temperature=0.8, learning_rate=0.02)
    run = reference(shape, recipe, text)
    chosen = dict(dataset=text, seed=5, steps=90, samples=7, temperature=0.8, lr=0.02, log_every=1, block_size=12)
    output = programs.run_host(**chosen).stdout
    assert len(lines) < recipe.steps
    assert np.abs(np.array(losses(output)) - np.array(run.losses)).max() < LOSS_TOLERANCE
    assert names(output) == run.samples
    assert programs.run_sim(**chosen).stdout == output


def test_the_whole_program_on_an_emulated_esp32(esp32_emulator: str, programs: Programs) -> None:
    """From the ROM on: flash image, data set mapped from flash, UART. The same output as the host's."""
    image = programs.esp32() / "factory.bin"
    console = emulator.capture_esp32(esp32_emulator, image, until="weights crc32", timeout=RUN_TIMEOUT)
    output = "".join(line for line in console.splitlines(keepends=True) if not line.startswith("# "))
    assert programs.run_host().stdout in output
