"""The search for the best model that fits: what it tries, how it scores, what it keeps, and what it says."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import postgresql
import pytest
from conftest import ROOT, Completed, Programs, examples
from hypothesis import given
from hypothesis import strategies as st
from mgbuild.errors import UserError
from mgbuild.firmware import memory
from mgbuild.plan import build_folder, dataset, options, training_time
from mgbuild.plan.shape import Shape
from mgbuild.tune import report as reports
from mgbuild.tune import search, storage, tune
from mgbuild.tune.crew import Crew
from mgbuild.tune.score import Estimate, HeldOut, gain, mean
from mgbuild.tune.space import DEFAULT, Chip, Options, Space
from mgbuild.tune.split import Frequencies, split
from mgbuild.tune.verdict import RUNS, WINNER, compare
from microgpt import Learner, Text

DEFAULT_SHAPE = {"n_embd": 16, "n_head": 4, "n_layer": 1, "block_size": 16}
TUNE_TIMEOUT = 240  # seconds
WORKER_BYTES = 200 << 20
RATIO = 1.5  # CPU of all that a trial takes, to that of training alone


def words_with_a_pattern(count: int = 400, seed: int = 1) -> list[str]:
    """Different words of syllables, which a model can learn, of 2 to 20 characters."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = rng.choices(["ka", "lo", "mi", "ne", "ru", "sa", "to"], k=rng.randrange(1, 11))
        found["".join(syllables)] = None
    return list(found)


def noise(count: int = 400) -> list[str]:
    """Words of letters drawn evenly, of which nothing can be learned but how often a letter comes."""
    rng = random.Random(2)
    return ["".join(rng.choices("abcd", k=8)) for _ in range(count)]


@pytest.fixture(scope="module")
def library(programs: Programs) -> Path:
    return programs.library()


@pytest.fixture(scope="module")
def report(programs: Programs) -> memory.Report:
    """Of the default firmware, whose memory the models have to fit."""
    return memory.read(programs.esp32() / "memory.json")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words_with_a_pattern()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def spaces(library: Path, report: memory.Report) -> Callable[..., Space]:
    """Function from documents, minutes and fixed options to the space of a search."""

    def make(documents: list[str], minutes: float = 1, **fixed: Any) -> Space:
        lengths = training_time.TextLengths(map(len, documents))
        vocabulary = len(set("".join(documents))) + 1

        def seconds(chosen: Options) -> float:
            shape = Shape(vocab_size=vocabulary, **chosen.sizes)
            return training_time.seconds(library, shape, lengths, chosen.steps, 2, lr=chosen.lr)

        banks = tuple(report.plan["banks"].values())
        chip = Chip(banks, vocabulary, len(documents), seconds, library)
        return Space(chip, 60 * minutes, max(map(len, documents)) + 1, fixed)

    return make


@pytest.fixture
def run(
    report: memory.Report, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Function that searches as `scons tune` does with these options, and returns what it says as data.

    draws: whether it draws the page too, which takes longer than these searches.
    """

    def start(dataset_: Path, build: Path = tmp_path / "build", draws: bool = False, **words: object) -> dict[str, Any]:
        if not draws:
            monkeypatch.setattr("mgbuild.tune.page.page", lambda outcome: "")
        words = {"workers": 1, "trials": 12, "minutes": 0.004, **words}
        typed = {"dataset": str(dataset_), "build": str(build), **{name: str(value) for name, value in words.items()}}
        build_folder.make(build)
        image = tmp_path / "dataset.bin"
        image.write_bytes(dataset.pack(dataset_))
        status = tune.main(options.parse(typed, width_is_asked=True), typed, report, image, library)
        assert status == 0
        return json.loads((build / "tune/result.json").read_text())

    return start


# Of a text, in three parts


def test_a_tenth_searches_and_a_tenth_judges_and_no_line_is_in_two_parts() -> None:
    documents = words_with_a_pattern(200)
    parts = split(documents, 42, "the text")
    assert [len(parts.validation), len(parts.test), len(parts.training)] == [20, 20, 160]
    assert {*parts.training, *parts.validation, *parts.test} == {*documents}
    assert list(parts.training) == [each for each in documents if each in parts.training], "in the order of the text"


def test_the_seed_decides_the_parts() -> None:
    documents = words_with_a_pattern(200)
    assert split(documents, 42, "the text") == split(documents, 42, "the text")
    assert split(documents, 42, "the text").test != split(documents, 43, "the text").test


def test_all_copies_of_a_line_are_in_one_part() -> None:
    """Trained on as often as they are there, scored once."""
    documents = words_with_a_pattern(100) * 3
    parts = split(documents, 1, "the text")
    held_out = [*parts.validation, *parts.test]
    assert not {*held_out} & {*parts.training}
    assert len(held_out) == len({*held_out}) == 20
    assert len(parts.training) == 3 * 80
    assert parts.repeated == 200


# Of the score


@pytest.mark.parametrize("block_size", [1, 3, 4, 5, 16])
def test_every_character_is_scored_whatever_the_block_size(library: Path, block_size: int) -> None:
    """Beyond the model's positions it is a guess from how often each character comes, whose shares add up to 1."""
    training, document = ["abab", "abc", "b"], "abcb"
    text = Text.of(training)
    model = Learner(text, n_embd=4, n_head=1, block_size=block_size, steps=5, path=library)
    held_out = HeldOut(text, [document], Frequencies(training, "abc"))
    seen = {"a": 3, "b": 4, "c": 1, "end": 3}
    shares = {symbol: (count + 1) / (sum(seen.values()) + 4) for symbol, count in seen.items()}
    assert sum(shares.values()) == pytest.approx(1)
    guessed = [*document, "end"][block_size:]
    wanted = model.loss(document).sum() - sum(np.log(shares[symbol]) for symbol in guessed)
    assert held_out.losses(model) == pytest.approx([wanted], rel=1e-6)
    assert held_out.symbols == [5]


def test_the_loss_per_character_weighs_characters_not_documents() -> None:
    found = mean(np.array([2.0, 12.0]), np.array([2.0, 4.0]))
    assert found.value == pytest.approx(14 / 6)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """95 of 100, over drawn documents; the bounds are five standard deviations of a thousand trials."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(1000):
        lengths = rng.integers(2, 12, 60).astype(float)
        estimate = mean(lengths * rng.normal(2, 0.5, 60), lengths)
        hits += abs(estimate.value - 2) <= estimate.margin
    assert 915 < hits < 985


def test_a_gain_is_counted_document_by_document() -> None:
    """What two recipes have in common is no noise; what differs from seed to seed is."""
    rng = np.random.default_rng(1)
    lengths, common = np.full(50, 5.0), rng.normal(10, 3, (RUNS, 50))
    same = gain(common, common, lengths)
    assert (same.value, same.margin, same.is_sure) == (0, 0, False)
    better = gain(common + 0.5, common, lengths)
    assert better.value == pytest.approx(0.1) and better.margin == pytest.approx(0, abs=1e-9) and better.is_sure
    lucky = np.array([[2.0], [0.0], [-0.5]])
    assert not gain(common + lucky, common, lengths).is_sure, "one seed of three is not enough"


@pytest.mark.parametrize(
    ("winner", "longer", "recommended", "sentence"),
    [
        (1.5, 1.9, WINNER, "It saves 0.5000 ± .* 25.0% of their loss. The default .* would save 0.1000"),
        (1.5, 1.5, search.PATIENT, "but only 0.0000 .* which is within the noise: train the default for longer"),
        (2.0, 2.1, search.BASELINE, "saves -?0.0000 .* which is within the noise: keep the default"),
        (2.2, 2.3, search.BASELINE, "saves -0.2000 .* which is worse: keep the default"),
        (None, 1.9, search.BASELINE, "diverges: keep the default options"),
        (1.5, None, WINNER, "It saves 0.5000"),
    ],
)
def test_a_verdict_follows_from_what_is_sure(
    winner: float | None, longer: float | None, recommended: str, sentence: str
) -> None:
    """Of losses per character of the default, 2, of the winner and of the default in more steps; None: it diverged."""
    lengths = np.full(40, 6.0)
    chance = np.random.default_rng(1).normal(0, 0.01, (3, RUNS, 40)) * lengths
    chance -= chance.mean(axis=(1, 2), keepdims=True)
    means = {search.BASELINE: 2.0, search.PATIENT: longer, WINNER: winner}
    runs = {
        role: None if loss is None else loss * lengths + luck
        for (role, loss), luck in zip(means.items(), chance, strict=True)
    }
    options_ = (DEFAULT, replace(DEFAULT, steps=9000), replace(DEFAULT, n_embd=24))
    recipes = {
        role: search.Found(number, role, each, Estimate(2, 0), 1, 1)
        for number, (role, each) in enumerate(zip(means, options_, strict=True))
    }
    found = compare(recipes[WINNER], recipes, runs, lengths)
    assert found.recommended == recommended
    assert re.search(sentence, " ".join(found.sentences)), found.sentences


# Of what is tried


@given(data=st.data())
@examples(60)
def test_whatever_is_drawn_is_made_to_fit(data: st.DataObject, spaces: Callable[..., Space]) -> None:
    """Memory by the chip's own plan, time by its model; no draw is wasted."""
    documents = words_with_a_pattern(data.draw(st.sampled_from([100, 5000])))
    space = spaces(documents, data.draw(st.sampled_from([0.001, 0.1, 2])))
    drawn = {
        name: data.draw(st.sampled_from(values))
        if name == "n_head"
        else data.draw(st.floats(*values) if name == "lr" else st.integers(*values))
        for name, values in space.ranges.items()
    }
    settled = space.settle(drawn)
    assert space.chip.plan(settled).fits
    assert space.chip.seconds(settled) <= space.limit
    assert settled.n_embd % settled.n_head == 0
    assert space.settle(asdict(settled)) == settled, "what fits stays as it is"
    assert [settled.n_head, settled.n_layer, settled.block_size] == [
        drawn["n_head"],
        *(min(drawn[name], getattr(settled, name)) for name in ("n_layer", "block_size")),
    ], "the heads are those that were drawn, and nothing grows"


def test_a_shape_is_made_no_smaller_than_it_must_be(spaces: Callable[..., Space]) -> None:
    space = spaces(words_with_a_pattern())
    settled = space.settle({**asdict(DEFAULT), "n_embd": 1000})
    assert not space.chip.plan(replace(settled, n_embd=settled.n_embd + 4)).fits
    most = space.settle({**asdict(DEFAULT), "steps": 10_000_000})
    assert space.chip.seconds(replace(most, steps=most.steps * 101 // 100)) > space.limit


def test_options_that_are_given_stay(spaces: Callable[..., Space]) -> None:
    space = spaces(words_with_a_pattern(), n_layer=2, lr=0.0123, steps=700)
    assert set(space.ranges) == {"n_embd", "n_head", "block_size"}
    settled = space.settle({"n_embd": 999, "n_head": 8, "block_size": 12})
    assert (settled.n_layer, settled.lr, settled.steps) == (2, 0.0123, 700)


# Of a whole run


def test_the_baselines_are_always_tried_and_the_winner_keeps_its_promises(
    run: Callable[..., dict[str, Any]], text: Path, spaces: Callable[..., Space], capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = 0.02
    result = run(text, minutes=minutes, trials=25)
    first = result["tried"][0]
    assert (first["number"], first["role"], first["options"]) == (0, search.BASELINE, asdict(DEFAULT))
    longer = next(each for each in result["tried"] if each["role"] == search.PATIENT)
    assert {name: longer["options"][name] for name in DEFAULT_SHAPE} == DEFAULT_SHAPE
    assert longer["seconds"] == pytest.approx(60 * minutes, rel=0.01), "all the time there is"
    space = spaces(words_with_a_pattern(), minutes)
    for each in result["tried"]:
        chosen = Options(**each["options"])
        assert each["bytes"] == space.chip.plan(chosen).bytes
        assert each["seconds"] == pytest.approx(space.chip.seconds(chosen))
        assert each["seconds"] <= 60 * minutes
    said = capsys.readouterr().out
    assert result["command"] in said
    for sentence in result["verdict"]:
        assert sentence in said


def test_a_text_with_a_pattern_is_learned_better_than_by_default(
    run: Callable[..., dict[str, Any]], text: Path, library: Path
) -> None:
    """The winner's command line, and what it is worth on documents of a third kind, that nothing here has drawn."""
    result = run(text, minutes=0.05, trials=30)
    assert result["recommended"] != search.BASELINE
    assert result["gain"]["value"] > result["gain"]["margin"] > 0
    words = dict(word.split("=") for word in result["command"].split()[3:])
    chosen = options.parse(words, width_is_asked=True)
    others = [each for each in words_with_a_pattern(1200, seed=9) if each not in words_with_a_pattern()]
    whole = Text.open(text)

    def loss(**recipe: Any) -> float:
        model = Learner(whole, path=library, **recipe)
        model.train()
        held_out = HeldOut(whole, others, Frequencies(whole.documents, whole.characters))
        return mean(held_out.losses(model), held_out.symbols).value

    assert loss(**{name: getattr(chosen, name) for name in asdict(DEFAULT)}) < loss()


def test_of_noise_nothing_is_claimed(
    run: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of letters that are drawn evenly no rate makes a better model, whichever was luckiest in the search."""
    text = tmp_path / "noise.txt"
    text.write_text("\n".join(noise()))
    result = run(text, **DEFAULT_SHAPE, steps=300, minutes=1, trials=15)
    assert result["recommended"] == search.BASELINE
    assert result["command"] == f"./sconsw flash monitor dataset={text} build={tmp_path / 'build'}"
    assert re.search(r"within the noise|Nothing that was tried is better|worse", " ".join(result["verdict"]))


@pytest.mark.parametrize(
    ("words", "some_end_early"),
    [
        ({"minutes": 0.004}, False),
        ({"minutes": 1, "n_embd": 8, "n_head": 2, "n_layer": 1, "steps": 12_000}, True),
    ],
    ids=["journal", "SQLite"],
)
def test_equal_seeds_give_equal_results_with_one_worker(
    run: Callable[..., dict[str, Any]], text: Path, tmp_path: Path, words: dict[str, object], some_end_early: bool
) -> None:
    words = {"trials": 30, **words}
    first, second = (run(text, tmp_path / name, **words) for name in ("one", "two"))
    assert first["tried"] == second["tried"] and first["verdict"] == second["verdict"]
    assert first["ended_early"] == second["ended_early"] and (first["ended_early"] > 0) == some_end_early
    other = run(text, tmp_path / "three", seed=7, **{**words, "trials": 5})["tried"]
    assert [each["options"] for each in other] != [each["options"] for each in first["tried"][:5]]


def test_the_chip_invents_what_the_report_shows(run: Callable[..., dict[str, Any]], text: Path, library: Path) -> None:
    result = run(text)
    shown = result["samples"][search.BASELINE]
    model = Learner(Text.open(text), path=library, **result["recipes"][search.BASELINE]["options"])
    model.train()
    assert shown["checksum"] == model.checksum
    assert shown["samples"] == [model.sample() for _ in shown["samples"]]


def test_a_training_that_diverges_is_no_end(run: Callable[..., dict[str, Any]], text: Path) -> None:
    result = run(text, **DEFAULT_SHAPE, lr=10, trials=4)
    assert all(each["options"]["lr"] != 10 or each["loss"]["value"] > 0 for each in result["tried"])
    assert result["recommended"] == search.BASELINE


def test_the_page_is_whole_by_itself(run: Callable[..., dict[str, Any]], text: Path, tmp_path: Path) -> None:
    result = run(text, draws=True, trials=25)
    page = (tmp_path / "build/tune/index.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4, "Pareto front, progress, importance, slices"
    assert not re.search(r"(src|href)=[\"'](?!#|data:)", page), "nothing is loaded"
    assert result["command"] in page


def test_the_command_line_has_what_differs_from_the_defaults_and_what_was_typed() -> None:
    chosen = replace(DEFAULT, n_embd=24, lr=0.02)
    typed = {"dataset": "my words.txt", "seed": "7", "minutes": "2", "trials": "9", "storage": "postgresql://a:b@c/d"}
    assert reports.command(chosen, typed) == "./sconsw flash monitor 'dataset=my words.txt' seed=7 n_embd=24 lr=0.02"


# Of stopping, dying and going on


@pytest.fixture
def start(report: memory.Report, library: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Function that starts a search in a process of its own, whose output comes by a pipe."""
    started: list[subprocess.Popen[str]] = []
    accepted = tmp_path / "memory.json"

    def begin(dataset_: Path, **words: object) -> subprocess.Popen[str]:
        image = tmp_path / "dataset.bin"
        image.write_bytes(dataset.pack(dataset_))
        words = {"build": tmp_path / "build", "minutes": 0.004, **words}
        build_folder.make(Path(str(words["build"])))
        typed = {"dataset": str(dataset_), **{name: str(value) for name, value in words.items()}}
        program = (
            "import json, sys; from pathlib import Path; from mgbuild.errors import UserError\n"
            "from mgbuild.firmware import memory; from mgbuild.plan import options\n"
            "from mgbuild.tune import storage, tune\n"
            "typed, report, image, library, heartbeat = json.loads(sys.argv[1])\n"
            "storage.HEARTBEAT_SECONDS = heartbeat\n"
            "settings = options.parse(typed)\n"
            "try: sys.exit(tune.main(settings, typed, memory.read(Path(report)), Path(image), Path(library)))\n"
            "except UserError as error: sys.exit(str(error))\n"
        )
        arguments = [typed, str(accepted), str(image), str(library), 1]
        process = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "site_scons")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    accepted.write_text(memory.as_json(report))
    yield begin
    for process in started:
        process.kill()
        process.wait()


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What a process says up to a line that matches; fails where it ends before."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(f"no {pattern} in:\n{said}")


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Process numbers of a search's workers."""
    return [int(number) for number in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def result_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "build/tune/result.json").read_text())


@pytest.mark.parametrize("minutes", [0.004, 0.2], ids=["journal", "SQLite"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_search_that_is_stopped_goes_on(
    start: Callable[..., subprocess.Popen[str]], text: Path, tmp_path: Path, minutes: float, number: int
) -> None:
    """By Ctrl-C or by a kill: what was finished is kept, and the same command goes on. Slow: minutes of a chip."""
    process = start(text, minutes=minutes, trials=1000, workers=2)
    read_until(process, "trial [6-9] of 1000|trial [1-9][0-9] of 1000")
    process.send_signal(number)
    assert process.stdout
    said = process.stdout.read()
    if number == signal.SIGINT:
        assert process.wait(TUNE_TIMEOUT) == 128 + number
        assert "what was finished is kept in" in said and "./sconsw flash monitor" in said
    again = start(text, minutes=minutes, trials=16, workers=2)
    assert again.stdout
    said = again.stdout.read()
    assert again.wait(TUNE_TIMEOUT) == 0, said
    finished = [int(found) for found in re.findall(r"^trial ([0-9]+) of 16", said, re.MULTILINE)]
    assert finished[0] >= 6, "it begins where the other stopped"
    assert len(result_of(tmp_path)["tried"]) + result_of(tmp_path)["ended_early"] == max(16, finished[0])


def test_another_text_is_another_study(run: Callable[..., dict[str, Any]], text: Path) -> None:
    first = run(text)
    text.write_text("\n".join(words_with_a_pattern(seed=3)))
    second = run(text)
    assert first["study"] != second["study"]
    assert first["tried"][0]["loss"] != second["tried"][0]["loss"]


def test_two_searches_do_not_share_a_file(start: Callable[..., subprocess.Popen[str]], text: Path) -> None:
    first = start(text, trials=10_000, workers=1)
    read_until(first, "trial .* of 10000")
    second = start(text, trials=10_000, workers=1)
    assert second.stdout and "another search is at work in" in second.stdout.read()
    assert second.wait() == 1


@pytest.mark.parametrize("minutes", [0.05, 0.2], ids=["journal", "SQLite"])
def test_a_killed_worker_loses_one_trial_and_nothing_else(
    spaces: Callable[..., Space], library: Path, tmp_path: Path, minutes: float
) -> None:
    """Which is tried again; all others are tried once, those too that waited for that worker."""
    documents = words_with_a_pattern()
    space = spaces(documents, minutes)
    kept = storage.in_folder(tmp_path, "study", quick=minutes < 0.1)
    study = search.open_study(kept, "study", 42, space)
    crew = Crew(2, library, documents, split(documents, 42, "the text"))
    searching = search.Search(study, kept, space, crew, seed=42, documents=40, trials=30)
    killed: list[int] = []

    def kill(finished: int, best: search.Found | None) -> None:
        busy = [member for member in crew.members if len(member.tasks) == 2]
        if finished >= 4 and busy and not killed:
            killed.extend(busy[0].tasks)
            os.kill(busy[0].process.pid, signal.SIGKILL)

    try:
        assert searching.run(lambda: False, kill)
    finally:
        crew.close()
    states = [trial.state.name for trial in study.trials]
    (lost,) = [number for number, state in enumerate(states) if state == "FAIL"]
    assert lost in killed and states[sum(killed) - lost] != "FAIL", "what waited for the worker went to another"
    assert states.count("COMPLETE") + states.count("PRUNED") == 30 == len(states) - 1
    retried = [trial for trial in study.trials if trial.system_attrs.get("failed_trial") == lost]
    assert [trial.params for trial in retried] == [study.trials[lost].params]
    kept.close()


def test_workers_that_cannot_begin_are_no_endless_row(
    spaces: Callable[..., Space], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    documents = words_with_a_pattern()
    crew = Crew(1, tmp_path / "missing.so", documents, split(documents, 42, "the text"))
    task = {"kind": "speak", "number": 0, "options": asdict(DEFAULT), "seed": 1, "samples": 1, "temperature": 1}
    with pytest.raises(UserError, match="a worker ended before it had trained anything"):
        crew.work([task], lambda: False)
    assert "missing.so is not built yet" in capfd.readouterr().err
    crew.close()


# Of a database that several machines share


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.running() as running:
        yield running


def test_two_searches_share_a_study_and_one_may_die(
    server: postgresql.Server, start: Callable[..., subprocess.Popen[str]], text: Path, tmp_path: Path
) -> None:
    """What the dead one was at is tried again by the other; together they do what was asked, once."""
    words = {"storage": server.url(), "trials": 40, "workers": 1, "minutes": 0.03}
    first = start(text, build=tmp_path / "one", **words)
    read_until(first, "trial .* of 40")
    second = start(text, build=tmp_path / "build", **words)
    read_until(second, "trial .* of 40")
    first.kill()
    first.wait()
    assert second.stdout
    said = second.stdout.read()
    assert second.wait(TUNE_TIMEOUT) == 0, said
    assert server.password not in said
    result = result_of(tmp_path)
    assert len(result["tried"]) + result["ended_early"] == 40
    kept = storage.shared(server.url())
    trials = kept.optuna.get_all_trials(kept.optuna.get_study_id_from_name(result["study"]))
    failed = [trial.number for trial in trials if trial.state.name == "FAIL"]
    again = [trial.system_attrs["failed_trial"] for trial in trials if "failed_trial" in trial.system_attrs]
    assert 1 <= len(failed) <= 2 and again == failed, "its trial in hand, and the one that waited"
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED", "FAIL"}
    kept.close()


def test_a_database_that_goes_away_is_a_sentence(start: Callable[..., subprocess.Popen[str]], text: Path) -> None:
    with postgresql.running() as server:
        process = start(text, storage=server.url(), trials=10_000, workers=1)
        read_until(process, "trial .* of 10000")
    assert process.stdout
    said = process.stdout.read()
    assert process.wait(TUNE_TIMEOUT) == 1
    assert re.search(r"postgresql:.* is lost: ", said) and "the same command goes on" in said
    assert "Traceback" not in said and server.password not in said


def test_a_database_that_refuses_is_a_sentence_without_the_password(server: postgresql.Server) -> None:
    for url, sentence in (
        (server.url(password="wrong-secret"), "password authentication failed"),
        (server.url().replace(str(server.folder), "/nowhere"), "No such file or directory"),
        ("postgresql://tuner:wrong-secret@127.0.0.1:1/postgres", "Connection refused"),
    ):
        with pytest.raises(UserError, match=sentence) as refused:
            storage.shared(url)
        assert str(refused.value).startswith("storage=postgresql://tuner:***@")
        assert "wrong-secret" not in str(refused.value) and server.password not in str(refused.value)


# Of speed and size


def test_a_trial_of_a_thousand_steps_takes_little_more_than_its_training(
    spaces: Callable[..., Space], library: Path, tmp_path: Path
) -> None:
    """Scoring, drawing and keeping included: CPU of search and worker, to that of the training, in one run."""
    documents = dataset.read_documents(ROOT / "data/names.txt")
    space = spaces(documents, **DEFAULT_SHAPE, steps=1000)
    kept = storage.in_folder(tmp_path, "study", quick=True)
    study = search.open_study(kept, "study", 42, space)
    crew = Crew(1, library, documents, split(documents, 42, "the text"))
    warm_up = search.Search(study, kept, space, crew, seed=42, documents=tune.LEAST_SCORED, trials=10)
    assert warm_up.run(lambda: False, lambda finished, best: None)
    measured = search.Search(study, kept, space, crew, seed=42, documents=tune.LEAST_SCORED, trials=110)
    begin = time.process_time()
    assert measured.run(lambda: False, lambda finished, best: None)
    own = time.process_time() - begin
    status = Path(f"/proc/{crew.members[0].process.pid}/status").read_text()
    crew.close()
    assert (own + measured.worker_seconds) / measured.training_seconds <= RATIO
    peak = re.search(r"^VmHWM:\s+([0-9]+) kB", status, re.MULTILINE)
    assert peak and int(peak[1]) << 10 < WORKER_BYTES


# Of what is refused


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"minutes": 0}, "minutes=0: no step fits; the default options take .* s for one"),
        ({"minutes": 1e-9}, "minutes=1e-09: no step fits"),
        ({"n_embd": 512}, "no shape can fit with n_embd=512: "),
        ({"block_size": 1000, "n_layer": 8}, "no shape can fit with n_layer=8 block_size=1000: "),
        ({"trials": 0}, "trials=0 must be a whole number from 1"),
        ({"seed": "hw"}, "seed=hw: a search needs a seed that it can repeat"),
        ({"storage": "redis://host"}, "storage= has redis://, which is none of sqlite://, postgresql://"),
        ({"storage": "tuner:secret@host"}, "storage= has what is no URL"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence(
    run: Callable[..., dict[str, Any]], text: Path, tmp_path: Path, words: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        run(text, **words)
    assert "secret" not in str(refused.value)
    assert not list(tmp_path.glob("build/tune/*")), "nothing is left behind"


def test_a_text_too_small_to_hold_anything_out_is_a_sentence(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    text = tmp_path / "few.txt"
    text.write_text("\n".join(words_with_a_pattern(19) * 2))
    with pytest.raises(UserError, match=r"few\.txt has 19 different documents, too few to hold any out"):
        run(text)


def test_the_least_text_is_searched(run: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    text = tmp_path / "few.txt"
    text.write_text("\n".join(words_with_a_pattern(20)))
    assert run(text)["documents"] == {"training": 16, "validation": 2, "test": 2}


def test_scons_searches(scons: Callable[..., Completed], programs: Programs, text: Path) -> None:
    """As typed: with the firmware's memory report as the build has just made it."""
    with programs.build_folder() as build:
        words = (f"build={build}", f"dataset={text}", "minutes=0.004", "trials=4", "workers=1")
        result = scons("tune", *words)
        assert result.returncode == 0, result.stdout + result.stderr
        assert f"./sconsw flash monitor dataset={text}" in result.stdout
        refused = scons("tune", f"build={build}", f"dataset={text}", "minutes=0")
        assert refused.returncode != 0
        assert "error: minutes=0: no step fits" in refused.stderr
