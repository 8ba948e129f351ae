"""Models larger than the chip's memory: weights are read where they lie, in a file or flash; memory has activations."""

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RUN_TIMEOUT, Programs
from console import Answer, answers
from mgbuild.device import transfer
from mgbuild.emulated import emulator, profile
from mgbuild.plan import flash_speed
from microgpt import Checkpoint, Learner, Text, plan
from test_esp32_checkpoint import Machine

SHAPE = {"n_embd": 64, "n_head": 4, "n_layer": 5, "block_size": 48}
SAMPLES, SEED, STEPS = 6, 11, 40
ASKED = ("next ka", "loss kalomi", "attention kalo", "complete mi 3", "names 2")
REFUSED = ("teach kalo", "save")
BANKS = (114_000, 129_984)  # of the chip, at the least


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words of a few syllables, which a model learns in a few steps not to spell at random."""
    chance = random.Random(3)
    syllables = ["ka", "lo", "mi", "ren", "ta", "shi", "ur", "vel", "on", "a", "dri", "es"]
    words = ["".join(chance.choice(syllables) for _ in range(chance.randint(2, 6))) for _ in range(400)]
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("\n".join(words) + "\n")
    return path


@pytest.fixture(scope="module")
def learner(programs: Programs, text_file: Path) -> Learner:
    """The model, trained here, with all of it in memory."""
    found = Learner(Text.open(text_file), path=programs.library(), steps=STEPS, seed=SEED, **SHAPE)
    found.train()
    assert found.parameters > 250_000
    return found


@pytest.fixture(scope="module")
def weights(learner: Learner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights alone, as Python writes them."""
    path = tmp_path_factory.mktemp("weights") / "big.ckpt"
    Checkpoint.of_weights(learner.weights, learner.text.characters, SHAPE["n_head"]).write(path)
    return path


@pytest.fixture(scope="module")
def options(text_file: Path) -> dict[str, object]:
    """Of programs that know nothing of the model's shape."""
    return {"dataset": text_file, "samples": SAMPLES, "seed": SEED}


def names_by_python(learner: Learner) -> list[str]:
    """What CPython's generator draws from the probabilities of the model in memory."""
    chance = random.Random(SEED)
    found = []
    for _ in range(SAMPLES):
        name = ""
        while len(name) < SHAPE["block_size"]:
            follows = learner.next(name, temperature=0.5)
            (character,) = chance.choices(list(follows), list(follows.values()))
            if character == "":
                break
            name += character
        found.append(name)
    return found


@pytest.fixture(scope="module")
def expected(learner: Learner) -> list[str]:
    """Lines of the run."""
    samples = [f"sample {number:2}: {name}" for number, name in enumerate(names_by_python(learner), 1)]
    assert len(set(samples)) > 1
    return [*samples, f"weights crc32: {learner.checksum}"]


def run_host(programs: Programs, resume: Path, typed: str = "", **options: object) -> str:
    words = [programs.host(console="yes" if typed else "no", **options), f"resume={resume}"]
    done = subprocess.run(words, input=typed, capture_output=True, encoding="utf-8", timeout=RUN_TIMEOUT, check=False)
    return done.stdout


def run_sim(programs: Programs, resume: Path, typed: str = "", cores: int = 1, **options: object) -> str:
    paths = programs.sim(console="yes" if typed else "no", cores=cores, **options)
    with emulator.folder(resume, None) as folder:
        return emulator.capture(*paths, RUN_TIMEOUT, typed=typed, cores=cores, cwd=folder).stdout


def end_of_run(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith(("sample", "weights crc32"))]


def typed(*commands: str) -> str:
    return "".join(f"{command}\n" for command in commands)


# ---- Here and on the emulated core -----------------------------------------------------------------------------------


def test_names_are_those_of_the_model_in_memory(
    programs: Programs, weights: Path, options: dict[str, object], expected: list[str]
) -> None:
    assert end_of_run(run_host(programs, weights, **options)) == expected


@pytest.mark.parametrize("cores", [1, 2])
def test_names_on_the_emulated_core(
    cores: int, programs: Programs, weights: Path, options: dict[str, object], expected: list[str]
) -> None:
    assert end_of_run(run_sim(programs, weights, cores=cores, **options)) == expected


@pytest.fixture(scope="module")
def in_memory(programs: Programs, learner: Learner, options: dict[str, object], tmp_path_factory) -> list[Answer]:
    """What the model answers that is in memory with all that training needs."""
    state = tmp_path_factory.mktemp("state") / "state.ckpt"
    learner.checkpoint().write(state)
    _, found = answers(run_host(programs, state, typed(*ASKED[:3]), **options))
    assert all(answer.ok for answer in found)
    return found


def test_what_is_asked_of_it_has_the_same_answer_everywhere(
    programs: Programs, weights: Path, options: dict[str, object], in_memory: list[Answer], learner: Learner
) -> None:
    _, here = answers(run_host(programs, weights, typed(*ASKED), **options))
    assert here[:3] == in_memory
    assert all(name.startswith("mi") for name in here[3].lines) and len(here[3].lines) == 3
    assert all(answer.ok for answer in here)
    for cores in (1, 2):
        _, there = answers(run_sim(programs, weights, typed(*ASKED), cores=cores, **options))
        assert there == here
    means = [line.split()[1] for line in here[1].lines if line.startswith("mean")]
    assert float(means[0]) == pytest.approx(learner.loss("kalomi").mean(), abs=2e-6)


def test_info_says_that_memory_holds_activations_alone(
    programs: Programs, weights: Path, options: dict[str, object], learner: Learner
) -> None:
    _, (info,) = answers(run_host(programs, weights, typed("info"), **options))
    (taken,) = (int(line.split()[1]) for line in info.lines if line.startswith("memory: "))
    amounts = {line.split(maxsplit=1)[1]: int(line.split()[0]) for line in info.lines if line.startswith("  ")}
    assert amounts.pop("activations") == taken < 4 * learner.parameters / 5
    assert set(amounts.values()) == {0}
    assert not any(line.startswith("time: ") for line in info.lines), "there is nothing to train"


def test_what_trains_is_refused(programs: Programs, weights: Path, options: dict[str, object]) -> None:
    """And loses nothing: names go on as if nobody had asked."""
    _, found = answers(run_host(programs, weights, typed(*REFUSED, "names 2"), **options))
    sentence = "this model only generates; train begins from its weights, if memory has room"
    assert [answer.error for answer in found] == [sentence, sentence, ""]
    _, (undisturbed,) = answers(run_host(programs, weights, typed("names 2"), **options))
    assert found[-1] == undisturbed


def test_gradients_are_not_checked(programs: Programs, weights: Path, options: dict[str, object]) -> None:
    _, (found,) = answers(run_host(programs, weights, typed("check"), **options))
    assert found.ok
    gradients = [line for line in found.lines if "gradient of" in line]
    assert len(gradients) == 3 + 6 * SHAPE["n_layer"]
    assert all(line.startswith("skipped: ") for line in gradients)


def test_training_begins_from_the_weights_where_memory_has_room(
    programs: Programs, weights: Path, options: dict[str, object], learner: Learner
) -> None:
    other = Learner(learner.text, path=programs.library(), seed=SEED, **SHAPE)
    other.weights = learner.weights
    first = other.train(3)[0]
    _, (trained, info) = answers(run_host(programs, weights, typed("train 3", "info"), **options))
    assert f"step    1 / 1000 | loss {first:.4f}" in trained.lines
    assert any(line.endswith(f"step 3 of 1000, weights crc32 {other.checksum}") for line in info.lines)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data[:-4], "the checkpoint is cut short"),
        (lambda data: data[:500_000] + b"\1" + data[500_001:], "the checkpoint is damaged"),
        (lambda data: data[:100] + b"\1" + data[101:], "the checkpoint is damaged"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    change: Callable[[bytes], bytes],
    sentence: str,
    programs: Programs,
    weights: Path,
    options: dict[str, object],
    tmp_path: Path,
) -> None:
    (tmp_path / "other").write_bytes(change(weights.read_bytes()))
    assert run_host(programs, tmp_path / "other", **options) == f"# error: {sentence}\n"
    assert run_sim(programs, tmp_path / "other", **options) == f"# error: {sentence}\n"


def test_another_alphabet_is_refused(
    programs: Programs, learner: Learner, options: dict[str, object], tmp_path: Path
) -> None:
    """As long, or shorter."""
    alphabet, weights = learner.text.characters, learner.weights
    fewer = {name: array[:-1] if name in ("wte", "lm_head") else array for name, array in weights.items()}
    for characters, arrays in ((alphabet[:-1] + "z", weights), (alphabet[:-1], fewer)):
        Checkpoint.of_weights(arrays, characters, SHAPE["n_head"]).write(tmp_path / "other")
        said = run_host(programs, tmp_path / "other", **options)
        assert said == "# error: the checkpoint is of a text with other characters\n"


# ---- The plan --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        {"n_embd": 64, "n_head": 8, "n_layer": 5, "block_size": 72, "vocab_size": 64},
        {"n_embd": 128, "n_head": 8, "n_layer": 3, "block_size": 64, "vocab_size": 100},
        {"n_embd": 256, "n_head": 4, "n_layer": 4, "block_size": 24, "vocab_size": 64},
        SHAPE | {"vocab_size": 17},
    ],
    ids=str,
)
def test_memory_is_for_keys_and_values_and_little_else(shape: dict[str, int], programs: Programs) -> None:
    found = plan(BANKS, path=programs.library(), documents=400, generates=True, **shape)
    assert found.fits
    assert found.purposes.pop("activations") == sum(found.extents)
    assert set(found.purposes.values()) == {0}
    kept = 4 * shape["n_layer"] * shape["block_size"] * 2 * shape["n_embd"]
    width, heads = shape["n_embd"], shape["n_layer"] * shape["n_head"]
    one_row = (
        4 * (5 + 4 + 2 * 4) * width
    )  # inputs, residual, queries and mix; hidden units; which are active, of two cores
    of_positions = 4 * (heads + shape["vocab_size"] + 2 * shape["n_layer"] + 3) * shape["block_size"]
    assert kept < sum(found.extents) <= kept + one_row + of_positions


def test_what_does_not_fit_is_said_with_what_would(programs: Programs) -> None:
    large = {"n_embd": 256, "n_head": 4, "n_layer": 4, "block_size": 64, "vocab_size": 64, "documents": 400}
    found = plan(BANKS, path=programs.library(), generates=True, **large)
    assert not found.fits
    smaller = large | {"block_size": found.smaller["block_size"]}
    assert plan(BANKS, path=programs.library(), generates=True, **smaller).fits
    assert re.fullmatch(r"memory lacks \d+ bytes; it would fit with .*block_size=\d+.*", found.sentence)


# ---- On the emulated ESP32 -------------------------------------------------------------------------------------------


@pytest.fixture
def machine(programs: Programs, options: dict[str, object], esp32_emulator: str, tmp_path: Path) -> Machine:
    return Machine(esp32_emulator, programs.esp32(**options, steps=30), tmp_path)


def put(machine: Machine, data: bytes, sequence: int = 1) -> None:
    """Into flash, where push puts what no slot has room for; `data` may be no checkpoint."""
    numbered = transfer.numbered(Checkpoint(data), sequence, 0)
    machine.write(behind_text(machine) - machine.layout.dataset_end, numbered)


def behind_text(machine: Machine) -> int:
    flash, start = machine.flash.read_bytes(), machine.layout.dataset
    return start + -(-int.from_bytes(flash[start + 8 : start + 12], "little") // 4096) * 4096


def test_the_chip_generates_from_flash_what_this_machine_does(
    machine: Machine, programs: Programs, weights: Path, options: dict[str, object], expected: list[str]
) -> None:
    put(machine, weights.read_bytes())
    before = machine.flash.read_bytes()
    assert end_of_run(machine.run()) == expected
    _, here = answers(run_host(programs, weights, typed(*ASKED), **options))
    commands = [*ASKED, *REFUSED, "train"]
    said = machine.talk(("more names", "\r"), *(("\n> ", f"{command}\r") for command in ["", *commands]), ("lacks", ""))
    there = said[said.index(f"> {ASKED[0]}\n") :]
    for command, answer in zip(ASKED, here, strict=True):
        assert f"> {command}\n" + "".join(f"{line}\n" for line in [*answer.lines, "ok"]) in there
    assert there.count("error: this model only generates; train begins from its weights, if memory has room\n") == 2
    assert "\nerror: this model only generates; to train it memory lacks" in there
    assert machine.flash.read_bytes() == before


def test_what_cannot_be_used_in_flash_is_named_and_the_program_goes_on(
    machine: Machine, learner: Learner, weights: Path, programs: Programs
) -> None:
    place = behind_text(machine) - machine.layout.dataset_end
    put(machine, weights.read_bytes())
    machine.write(place + 500_000, b"\0\0\0\0")
    damaged = machine.run("saved at step 30")
    machine.write(0, b"\xff" * 2 * machine.slot_bytes)
    put(machine, Checkpoint.of_weights(learner.weights, learner.text.characters[:-1] + "z", 4).data)
    other = machine.run("saved at step 30")
    machine.write(0, b"\xff" * 2 * machine.slot_bytes)
    larger = Learner(learner.text, path=programs.library(), steps=1, **SHAPE | {"block_size": 400})
    put(machine, larger.checkpoint(weights_alone=True).data)
    large = machine.run("saved at step 30")
    assert "# passed over: the checkpoint is damaged\n" in damaged
    assert "# passed over: the checkpoint is of a text with other characters\n" in other
    assert "# passed over: the checkpoint's model does not fit: memory lacks " in large
    assert all("step   30 /   30 | loss" in said for said in (damaged, other, large))


def test_the_newer_counts_of_a_slot_and_what_was_pushed(machine: Machine, weights: Path, expected: list[str]) -> None:
    """What the chip has saved after a push is gone on from, and what was pushed after that again generated from."""
    machine.run("saved at step 30")
    put(machine, weights.read_bytes(), sequence=1)
    assert "# checkpoint: step 30 of 30" in machine.run()
    put(machine, weights.read_bytes(), sequence=2)
    assert end_of_run(machine.run()) == expected


def test_forgetting_a_slot_whose_weights_are_in_use_leaves_no_model(
    machine: Machine, programs: Programs, learner: Learner
) -> None:
    small = Learner(learner.text, path=programs.library(), steps=2)
    machine.write(0, transfer.numbered(small.checkpoint(weights_alone=True), 1, 0))
    commands = (("\n> ", "names 1\r"), ("ok\n> ", "forget\r"), ("ok\n> ", "names 1\r"), ("there is no model yet", ""))
    said = machine.talk(("more names", "\r"), *commands)
    assert f"weights crc32: {small.checksum}" in said


# ---- How fast --------------------------------------------------------------------------------------------------------


def test_cycles_are_those_of_the_model(
    programs: Programs, weights: Path, options: dict[str, object], learner: Learner
) -> None:
    """One core; the first of a document's tokens is computed once, and so the mean over all lies below."""
    firmware, dataset = programs.sim(cores=1, **options)
    counts = profile.run(programs.profile_plugin(), firmware, dataset, resume=weights)
    cycles = profile.total(counts.cycles, profile.GENERATION, lambda owner: owner.phase).total()
    computed = counts.calls["predict_logits"]
    assert counts.tokens - computed == SAMPLES - 1
    read = learner.parameters - (SHAPE["block_size"] - 1 + learner.text.vocab_size - 1) * SHAPE["n_embd"]
    assert cycles / computed / read == pytest.approx(flash_speed.CYCLES_PER_WEIGHT, rel=0.2)


def test_flash_bounds_it() -> None:
    shape = {"n_embd": 64, "n_layer": 5, "vocab_size": 17}
    slow = flash_speed.estimate(mode="dio", frequency="40m", **shape)
    fast = flash_speed.estimate(mode="qio", frequency="80m", **shape)
    assert flash_speed.bytes_per_second("dio", "40m") == pytest.approx(32 * 40e6 / (8 + 14 + 2 + 128))
    assert flash_speed.bytes_per_second("qio", "80m") == pytest.approx(32 * 80e6 / (8 + 8 + 4 + 64))
    assert slow.tokens_per_second == pytest.approx(8.4, abs=0.2)
    assert fast.tokens_per_second == pytest.approx(29, abs=1)
    assert min(part.reading / part.computing for part in (slow, fast)) > 15
