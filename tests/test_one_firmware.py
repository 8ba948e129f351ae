"""One firmware learns any text in any shape: the emulated core and chip, this machine's library and the references
agree."""

import random
import re
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from conftest import ROOT, RUN_TIMEOUT, Programs, options, with_settings
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from mgbuild.emulated import emulator
from mgbuild.firmware import image
from microgpt import Learner, Text

from python_ref import numpy_gpt, training
from python_ref.model import ADAM_BETA2, Shape
from python_ref.training import Recipe

NAMES = ROOT / "data" / "names.txt"
LOSS_TOLERANCE = 2e-5  # measured over 800 random models: 5e-6 at worst


@pytest.fixture(scope="module")
def firmware(programs: Programs) -> Path:
    """Built once, with the default options, for every text and shape here."""
    return programs.sim()[0]


def run_on_core(firmware: Path, text: Text, folder: Path, **chosen: object) -> CompletedProcess[str]:
    """Run the firmware with another text, and with another table of options in its place in the image."""
    (folder / "firmware.elf").write_bytes(with_settings(firmware.read_bytes(), **chosen))
    (folder / "dataset.bin").write_bytes(text.image)
    return emulator.capture(folder / "firmware.elf", folder / "dataset.bin", RUN_TIMEOUT)


def alphabet_of(shape: Shape) -> str:
    """As many characters as the vocabulary takes."""
    return "".join(chr(0x4E00 + index) for index in range(shape.vocab_size - 1))


@st.composite
def models(draw: st.DrawFn) -> tuple[Shape, list[str], int]:
    """A shape, documents whose alphabet is its vocabulary, and a seed of one word."""
    heads = draw(st.integers(1, 6))
    shape = Shape(
        vocab_size=draw(st.integers(2, 256)),
        n_layer=draw(st.integers(1, 4)),
        n_embd=heads * draw(st.integers(1, max(1, 48 // heads))),
        n_head=heads,
        block_size=draw(st.integers(1, 40)),
    )
    seed = draw(st.integers(0, 2**32 - 1))
    rng = random.Random(seed)
    alphabet = alphabet_of(shape)
    documents = [alphabet]
    documents += ["".join(rng.choices(alphabet, k=rng.randrange(1, 50))) for _ in range(draw(st.integers(0, 12)))]
    return shape, documents, seed


SMALLEST = Shape(vocab_size=2, n_layer=1, n_embd=1, n_head=1, block_size=1)
LARGEST = Shape(vocab_size=256, n_layer=4, n_embd=48, n_head=6, block_size=40)
ONE_COLUMN_A_HEAD = Shape(vocab_size=28, n_layer=2, n_embd=7, n_head=7, block_size=9)
STEPS = 3  # from the second on, the moments that are read are not zero


@settings(max_examples=15)  # each takes as long as the emulator to start
@given(models())
@example((SMALLEST, [alphabet_of(SMALLEST)], 1))
@example((LARGEST, [alphabet_of(LARGEST), "\u4e00"], 2))
@example((ONE_COLUMN_A_HEAD, [alphabet_of(ONE_COLUMN_A_HEAD)], 3))
def test_the_core_computes_the_same_bits_as_this_machine_for_any_shape_text_and_seed(
    firmware: Path, programs: Programs, tmp_path_factory: pytest.TempPathFactory, model: tuple[Shape, list[str], int]
) -> None:
    shape, documents, seed = model
    text = Text.of(documents)
    output = run_on_core(
        firmware,
        text,
        tmp_path_factory.mktemp("core"),
        seed=seed,
        steps=STEPS,
        samples=2,
        log_every=1,
        **options(shape),
    ).stdout
    learner = Learner(text, path=programs.library(), seed=seed, steps=STEPS, **options(shape))
    losses = [f"{loss:.4f}" for loss in learner.train().tolist()]
    assert re.findall(r"loss (\S+)$", output, re.MULTILINE) == losses
    assert re.findall(r"^sample +\d+: (.*)$", output, re.MULTILINE) == [learner.sample() for _ in range(2)]
    assert output.endswith(f"weights crc32: {learner.checksum}\n")


def of_characters(count: int) -> Text:
    """Documents in an alphabet of so many characters."""
    alphabet = alphabet_of(Shape(vocab_size=count + 1))
    return Text.of([alphabet, *(alphabet[start::7] for start in range(7))])


@pytest.mark.parametrize("characters", [1, 60, 255])
def test_one_factory_image_learns_any_text_that_is_written_into_its_data_region(
    characters: int, programs: Programs, esp32_emulator: str, tmp_path: Path
) -> None:
    """From the chip's ROM on, and no byte of the firmware differs."""
    text = of_characters(characters)
    folder = programs.esp32(steps=100)
    flash = bytearray((folder / "factory.bin").read_bytes())
    begin = image.flash_layout(folder / "firmware.elf").dataset
    flash[begin : begin + len(text.image)] = text.image
    (tmp_path / "flash.bin").write_bytes(flash)
    console = emulator.capture_esp32(esp32_emulator, tmp_path / "flash.bin", "weights crc32", RUN_TIMEOUT)
    learner = Learner(text, path=programs.library(), steps=100)
    learner.train()
    assert f"\nvocab size: {characters + 1}\n" in console
    assert re.findall(r"^sample +\d+: (.*)$", console, re.MULTILINE) == [learner.sample() for _ in range(20)]
    assert f"\nweights crc32: {learner.checksum}\n" in console


def test_a_model_that_needs_both_banks_of_the_chip_has_the_bits_of_this_machine(
    programs: Programs, esp32_emulator: str
) -> None:
    chosen = {"n_embd": 28, "n_layer": 2, "steps": 50}
    flash = programs.esp32(**chosen) / "factory.bin"
    console = emulator.capture_esp32(esp32_emulator, flash, "weights crc32", RUN_TIMEOUT)
    learner = Learner(Text.open(NAMES), path=programs.library(), **chosen)
    learner.train()
    assert learner.parameters * 3 * 4 > 192 * 1024, "its weights and moments alone are more than all of SRAM2"
    assert f"\nweights crc32: {learner.checksum}\n" in console


class Watched(numpy_gpt.Learner):
    """The reference, with an eye on what rounding may decide: how near the input of a hidden unit comes to zero, and
    how small the gradients of a weight may be all along, for Adam makes whole steps of them."""

    nearest: float
    smallest: float

    def learn(self, tokens: list[int], step: int, rate: float) -> float:
        exact = np.asarray(self.parameters)
        weights = numpy_gpt.views(exact, self.shape)
        for number, layer in enumerate(numpy_gpt.forward(exact, self.shape, self.shape.split(tokens)[0]).layers):
            inputs = layer.mlp_input @ weights[f"layer{number}.mlp_fc1"].T
            Watched.nearest = min(Watched.nearest, np.abs(inputs).min())
        loss = super().learn(tokens, step, rate)
        squares = self._second[self._second > 0].min() / (1 - ADAM_BETA2)
        Watched.smallest = min(Watched.smallest, squares**0.5)
        return loss


@settings(max_examples=60)
@given(models())
def test_losses_are_the_references_for_any_shape_text_and_seed(
    programs: Programs, model: tuple[Shape, list[str], int]
) -> None:
    """Left out: runs in which a hidden unit is so near to zero that float32 and float64 may decide it differently, or
    all gradients of a weight so near to Adam's epsilon that their rounding decides how far it moves; and norms over one
    column, which are signs that turn."""
    shape, documents, seed = model
    assume(shape.n_embd > 1)
    Watched.nearest = Watched.smallest = np.inf
    run = training.train(Watched, documents, shape, Recipe(seed=seed, steps=6, samples=0))
    assume(Watched.nearest > 1e-5 and Watched.smallest > 3e-8)
    learner = Learner(Text.of(documents), path=programs.library(), seed=seed, steps=6, **options(shape))
    assert np.abs(learner.train() - run.losses).max() < LOSS_TOLERANCE


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"n_embd": 256, "n_layer": 32}, r"memory lacks \d+ bytes; it would fit with n_embd=\d+ or n_layer=\d"),
        ({"block_size": 1024, "n_head": 16}, r"memory lacks \d+ bytes; it would fit with block_size=\d+"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_the_core_in_a_sentence(
    chosen: dict[str, int], sentence: str, firmware: Path, tmp_path: Path
) -> None:
    result = run_on_core(firmware, Text.of(["emma"]), tmp_path, **chosen)
    assert result.returncode == 1
    assert re.fullmatch(f"# error: {sentence}\n", result.stdout)
