"""Checkpoints: one format wherever they are written, and runs that go on from them with the bits of whole ones."""

import random
import re
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from conftest import ROOT, RUN_TIMEOUT, Completed, Programs, examples
from hypothesis import example, given
from hypothesis import strategies as st
from mgbuild.emulated import emulator
from microgpt import Checkpoint, CheckpointError, Error, Learner, Text
from microgpt.checkpoint import HEADER

NAMES = ROOT / "data" / "names.txt"
STEPS = 230
CHOSEN = {"n_embd": 12, "n_head": 3, "n_layer": 2, "block_size": 10, "steps": STEPS, "samples": 4, "seed": 5}
MODEL = {name: value for name, value in CHOSEN.items() if name != "samples"}
OTHER_SEED = 2**40 + 7  # of two words

RunHost = Callable[..., Completed]


@pytest.fixture(scope="module")
def text() -> Text:
    return Text.open(NAMES)


@pytest.fixture(scope="module")
def learner(programs: Programs, text: Text) -> Callable[..., Learner]:
    """Function from options to a learner of the names."""
    return lambda **options: Learner(text, path=programs.library(), **(options or MODEL))


@pytest.fixture
def run_host(programs: Programs) -> RunHost:
    """Function that runs the program on this machine: words of its command line, what is typed, and options."""

    def run(*words: str, typed: str = "", **options: object) -> Completed:
        return subprocess.run(
            [programs.host(**(options or CHOSEN)), *words],
            input=typed,
            capture_output=True,
            encoding="utf-8",
            timeout=RUN_TIMEOUT,
            check=False,
        )

    return run


def run_sim(
    programs: Programs, resume: Path | None, checkpoint: Path | None, typed: str = "", **options: object
) -> str:
    """What the program on the emulated core says that goes on from a file, or keeps its checkpoints in one."""
    with emulator.folder(resume, checkpoint) as folder:
        return emulator.capture(*programs.sim(**(options or CHOSEN)), RUN_TIMEOUT, typed=typed, cwd=folder).stdout


def without_remarks(output: str) -> list[str]:
    return [line for line in output.splitlines() if not line.startswith("# ")]


def tail_from(step: int, output: str) -> list[str]:
    """The lines of a whole run that one prints which goes on behind a step: sizes, later losses, names, checksum."""
    lines = without_remarks(output)
    return [line for line in lines if not (found := re.match(r"step +(\d+) /", line)) or int(found[1]) > step]


# ---- The format ------------------------------------------------------------------------------------------------------


def test_the_header_is_the_c_compilers(learner: Callable[..., Learner]) -> None:
    """Each number where Python looks for it."""
    model = learner()
    model.train(7)
    kept = model.checkpoint()
    assert HEADER.itemsize == 256
    assert kept.shape == {"n_embd": 12, "n_head": 3, "n_layer": 2, "block_size": 10, "vocab_size": 27}
    assert (kept["steps"], kept["step"], kept["document"], kept["lr"]) == (STEPS, 7, 7, 0.01)
    assert (kept["documents"], kept["text_crc32"]) == (32033, int.from_bytes(model.text.image[24:28], "little"))
    assert (kept["samples"], kept["log_every"], kept["temperature"]) == (20, 100, 0.5)
    assert kept.seed == 5
    assert kept["reserved"].tolist() == [0] * 25


def test_the_parts_are_the_learners(learner: Callable[..., Learner], text: Text) -> None:
    model = learner(**{**MODEL, "seed": OTHER_SEED})
    model.train(50)
    kept = model.checkpoint()
    assert kept.alphabet == text.characters
    assert kept.checksum == model.checksum
    assert kept.seed == OTHER_SEED
    assert all(np.array_equal(kept.weights[name], array) for name, array in model.weights.items())
    first, second = kept.moments
    assert first.keys() == second.keys() == model.weights.keys()
    assert all(np.isfinite(array).all() and np.any(array) for array in [*first.values(), *second.values()])
    python = random.Random(OTHER_SEED)
    order = list(range(len(text.documents)))
    python.shuffle(order)
    assert kept.order.tolist() == order[:STEPS]
    draws = model.parameters // 2 * 2  # of random(), two for each pair of normal numbers
    for _ in range(draws):
        python.random()
    _, words, _ = python.getstate()
    assert (kept.generator.tolist(), kept["random_next"]) == (list(words[:-1]), words[-1])


def test_program_library_and_emulated_core_write_the_same_bytes(
    run_host: RunHost, programs: Programs, learner: Callable[..., Learner], tmp_path: Path
) -> None:
    """At the end of training, but for what the library does not know: options of the program, and losses it printed."""
    run_host(f"checkpoint={tmp_path / 'host'}")
    run_sim(programs, None, tmp_path / "sim")
    written = (tmp_path / "host").read_bytes()
    assert (tmp_path / "sim").read_bytes() == written
    model = learner()
    model.train()
    ours, theirs = model.checkpoint(), Checkpoint(written)
    known_to_programs = ["options_crc32", "samples", "first_loss", "last_losses", "crc32"]
    assert [name for name in HEADER.names or () if np.any(ours[name] != theirs[name])] == known_to_programs
    assert ours.data[256:] == written[256:]


def test_the_weights_alone_go_out_and_in_by_name(learner: Callable[..., Learner], text: Text, tmp_path: Path) -> None:
    model = learner()
    model.train(30)
    light = model.checkpoint(weights_alone=True)
    assert light.data == model.checkpoint().weights_alone().data
    assert not light.has_state and light.moments == ({}, {}) and light.order.size == 0
    assert len(light.data) == 256 + 4 * model.parameters + 4 * 26
    again = Checkpoint.of_weights(model.weights, text.characters, 3)
    assert again.data[256:] == light.data[256:]
    light.write_safetensors(tmp_path / "names.safetensors")
    assert Checkpoint.of_safetensors(tmp_path / "names.safetensors").data == again.data
    other = learner(**{**MODEL, "seed": 9})
    other.weights = again.weights
    assert other.checksum == model.checksum


# ---- Going on --------------------------------------------------------------------------------------------------------


@example(cuts=[0], where=["host"])
@example(cuts=[1, 99, 100, 101, STEPS - 1, STEPS], where=["sim", "host", "library"])
@given(
    cuts=st.lists(st.integers(0, STEPS), min_size=1, max_size=4),
    where=st.lists(st.sampled_from(["host", "library"]), min_size=1, max_size=3),
)
@examples(20)
def test_a_run_that_was_interrupted_anywhere_any_number_of_times_ends_as_the_undisturbed_one(
    programs: Programs, text: Text, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], where: list[str]
) -> None:
    """Its losses, names and checksum, each part on another machine in turn; the last one here."""
    folder = tmp_path_factory.mktemp("parts")
    kept = folder / "run.ckpt"
    Learner(text, path=programs.library(), **MODEL).checkpoint().write(kept)
    step = 0
    for number, cut in enumerate(sorted(cuts)):
        place = where[number % len(where)]
        go_on = f"train {cut - step}\n" if cut > step else ""
        go_on += "save\n" if cut < STEPS or cut == step else ""  # at the end it is saved before names are drawn
        if place == "library":
            model = Learner.resume(text, kept, programs.library())
            model.train(cut - step)
            model.checkpoint().write(kept)
        elif place == "host":
            _type_at_host(programs, kept, go_on)
        else:
            _type_at_sim(programs, kept, go_on)
        assert Checkpoint.open(kept)["step"] == cut
        step = cut
    end = _run_of(programs.host(**CHOSEN), f"resume={kept}")
    samples = [f"sample {n:2}: {name}" for n, name in enumerate(_names(programs), 1)]
    whole = tail_from(step, programs.run_host(**{**CHOSEN, "samples": 20}).stdout)
    assert without_remarks(end) == whole
    assert [line for line in whole if line.startswith("sample")] == samples


def _names(programs: Programs) -> list[str]:
    model = Learner(Text.open(NAMES), path=programs.library(), **MODEL)
    model.train()
    return [model.sample() for _ in range(20)]


def _run_of(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, encoding="utf-8", timeout=RUN_TIMEOUT, check=True).stdout


def _type_at_host(programs: Programs, kept: Path, typed: str) -> None:
    words = [programs.host(console="yes", start="names", **CHOSEN), f"resume={kept}", f"checkpoint={kept}"]
    subprocess.run(words, input=typed, capture_output=True, encoding="utf-8", timeout=RUN_TIMEOUT, check=True)


def _type_at_sim(programs: Programs, kept: Path, typed: str) -> None:
    run_sim(programs, kept, kept, typed, console="yes", start="names", **CHOSEN)


# ---- Bad input -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(learner: Callable[..., Learner]) -> bytes:
    """A checkpoint in the middle of training."""
    model = learner()
    model.train(40)
    return model.checkpoint().data


def with_header(data: bytes, **numbers: int) -> bytes:
    """The same with other numbers in its header, whose checksum is right."""
    header = np.frombuffer(data[:256], HEADER).copy()
    for name, number in numbers.items():
        header[name] = number
    header["crc32"] = zlib.crc32(header.tobytes()[:252])
    return header.tobytes() + data[256:]


def refusal(run_host: RunHost, path: Path) -> str:
    """Why the program does not go on from a file."""
    done = run_host(f"resume={path}")
    assert done.returncode == 1
    found = re.fullmatch(r"# error: (.*)\n", done.stdout)
    assert found, done.stdout
    return found[1]


def test_a_byte_flipped_anywhere_is_noticed(
    kept: bytes, run_host: RunHost, programs: Programs, text: Text, tmp_path: Path
) -> None:
    """By Python and by the library for every hundredth byte and all of the header, by the program for some of these."""
    positions = [*range(256), *range(256, len(kept), 101), len(kept) - 1]
    for number, position in enumerate(positions):
        damaged = bytearray(kept)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(CheckpointError):
            Checkpoint(bytes(damaged))
        with pytest.raises(Error, match="damaged|no checkpoint"):
            resume_raw(programs, text, bytes(damaged))
        if number % 16 == 0:
            (tmp_path / "damaged").write_bytes(damaged)
            assert refusal(run_host, tmp_path / "damaged") in ("the checkpoint is damaged", "there is no checkpoint")


def resume_raw(programs: Programs, text: Text, data: bytes) -> None:
    """Let the library go on from bytes that Python has not looked at."""
    unseen = object.__new__(Checkpoint)
    object.__setattr__(unseen, "data", data)
    numbers = {name: 1 for name in ("steps", "n_embd", "n_head", "n_layer", "block_size")}
    with mock.patch.object(Checkpoint, "__getitem__", lambda self, name: numbers[name]):
        Learner.resume(text, unseen, programs.library())


@pytest.mark.parametrize("length", [0, 4, 255, 256, 257, 4096, -4, -1])
def test_what_is_cut_short_is_refused(length: int, kept: bytes, run_host: RunHost, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(kept[:length])
    expected = "there is no checkpoint" if 0 <= length < 256 else "the checkpoint is cut short"
    assert refusal(run_host, tmp_path / "short") == expected
    with pytest.raises(CheckpointError, match="no checkpoint|has .* bytes of"):
        Checkpoint.open(tmp_path / "short")


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"version": 2}, "the checkpoint is in another format"),
        ({"text_crc32": 1}, "the checkpoint is of another text"),
        ({"documents": 32034}, "the checkpoint is of another text"),
        ({"n_embd": 13}, "the checkpoint is damaged"),
        ({"n_layer": 1}, "the checkpoint is damaged"),
        ({"n_layer": 4000}, "the checkpoint is damaged"),
        ({"vocab_size": 28}, "the checkpoint is damaged"),
        ({"step": STEPS + 1}, "the checkpoint is damaged"),
        ({"document": STEPS}, "the checkpoint is damaged"),
        ({"random_next": 625}, "the checkpoint is damaged"),
        ({"seed_words": 0}, "the checkpoint is damaged"),
        ({"contents": 3}, "the checkpoint is damaged"),
    ],
)
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused_by_its_header(
    numbers: dict[str, int], sentence: str, kept: bytes, run_host: RunHost, tmp_path: Path
) -> None:
    (tmp_path / "other").write_bytes(with_header(kept, **numbers))
    assert refusal(run_host, tmp_path / "other") == sentence


def test_an_order_of_documents_that_the_text_has_not_is_refused(
    kept: bytes, run_host: RunHost, programs: Programs, text: Text, tmp_path: Path
) -> None:
    """Whatever its checksums say: nothing outside of the text is read."""
    body = bytearray(kept[256:])
    at = len(body) - 4 - 2 * STEPS
    body[at : at + 2] = b"\xff\xff"
    wrong = with_header(kept[:256] + bytes(body), body_crc32=zlib.crc32(body))
    (tmp_path / "order").write_bytes(wrong)
    assert refusal(run_host, tmp_path / "order") == "the checkpoint is damaged"
    with pytest.raises(Error, match="damaged"):
        Learner.resume(text, Checkpoint(wrong), programs.library())


def test_a_seed_longer_than_the_program_has_room_for_is_refused(
    run_host: RunHost, learner: Callable[..., Learner], tmp_path: Path
) -> None:
    learner(**{**MODEL, "seed": 2**300}).checkpoint().write(tmp_path / "seed")
    assert refusal(run_host, tmp_path / "seed") == "the checkpoint's seed is longer than this program has room for"


def test_weights_of_another_alphabet_are_refused_and_of_the_same_generated_from(
    run_host: RunHost, learner: Callable[..., Learner], text: Text, tmp_path: Path
) -> None:
    model = learner()
    model.train()
    light = model.checkpoint(weights_alone=True)
    light.write(tmp_path / "light")
    done = run_host(f"resume={tmp_path / 'light'}")
    assert done.returncode == 0
    assert done.stdout.endswith(f"weights crc32: {model.checksum}\n") and "loss" not in done.stdout
    other = Checkpoint.of_weights(model.weights, text.characters[:-1] + "\u00e9", 3)
    other.write(tmp_path / "other")
    assert refusal(run_host, tmp_path / "other") == "the checkpoint is of a text with other characters"


def test_a_model_that_the_core_has_no_memory_for_is_refused_with_what_is_missing(
    programs: Programs, text: Text, tmp_path: Path
) -> None:
    large = {"n_embd": 512, "n_head": 4, "n_layer": 1, "steps": 10}
    Learner(text, path=programs.library(), **large).checkpoint().write(tmp_path / "large")
    said = run_sim(programs, tmp_path / "large", None)
    assert re.fullmatch(
        r"# error: the checkpoint's model does not fit: memory lacks \d+ bytes; it would fit .*\n", said
    )


def test_a_file_that_cannot_be_written_is_told_and_the_run_goes_on(run_host: RunHost, tmp_path: Path) -> None:
    done = run_host(f"checkpoint={tmp_path / 'nowhere' / 'run.ckpt'}")
    assert "# error: the checkpoint could not be written; the one before stays" in done.stdout
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("weights crc32")
