"""The time of training: what core/training_time.c says, beside counts of the emulated core and real runs."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, RUN_TIMEOUT, Completed, Programs, examples
from console import answers, session
from hypothesis import given
from hypothesis import strategies as st
from mgbuild.emulated import emulator, time_model
from mgbuild.plan import training_time
from mgbuild.plan.shape import Shape
from mgbuild.plan.training_time import Effort, TextLengths
from microgpt import Learner, Text
from microgpt import library as c_library

NAMES = ROOT / "data/names.txt"
RECORDS = tomllib.loads((ROOT / "tests/bench_ceilings.toml").read_text(encoding="utf-8"))
DEFAULT = Shape(n_embd=16, n_head=4, n_layer=1, block_size=16, vocab_size=27)
TRAINED = Effort(0.2, 0.0)
COUNTED = tuple(
    time_model.HELD_OUT[index] for index in (0, 4, 6)
)  # of the cheaper: trained a little, a lot of tokens, new


@pytest.fixture(scope="module")
def library(programs: Programs) -> Path:
    return programs.library()


@pytest.fixture(scope="module")
def names() -> Text:
    return Text.open(NAMES)


@pytest.fixture(scope="module")
def lengths(names: Text) -> TextLengths:
    return TextLengths.of_image(names.image)


# ---- What it says is so ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(programs: Programs, library: Path, names: Text) -> list[time_model.Sample]:
    """A few models that no coefficient was fitted to, on the emulated core."""
    plugin, firmware = programs.profile_plugin(), programs.sim()[0]
    return [time_model.measure(case, names, plugin, firmware, library) for case in COUNTED]


@pytest.mark.parametrize("cores", time_model.CORES)
def test_the_committed_coefficients_describe_these_kernels(
    samples: list[time_model.Sample], library: Path, cores: int
) -> None:
    """When it fails, kernels have changed: `scons bench` finds the coefficients anew.

    When they were found, none of the ten models that were not fitted was off by more than 3 %, and their mean by 0.9 %:
    so what changes all cycles by 3 %, or those of one shape by a few more, is seen, and another compiler is not.
    """
    errors = time_model.committed_errors(samples, library, cores)
    assert np.abs(errors).max() < 0.05, errors
    assert abs(errors.mean()) < 0.02, errors


@pytest.mark.parametrize("cores", time_model.CORES)
def test_the_default_run_takes_as_long_as_is_said(library: Path, lengths: TextLengths, cores: int) -> None:
    """All of it estimated, from the options alone, against the record of its counted cycles."""
    recorded = RECORDS["asm" if cores == 1 else "two_cores"]["cycles_per_step_model"]
    said = training_time.seconds(library, DEFAULT, lengths, 1000, cores, clock=1e6)
    assert said == pytest.approx(1e-3 * recorded, rel=0.05)


@pytest.mark.parametrize(
    ("sizes", "steps", "lr"),
    [
        ({}, 1000, 0.01),
        ({}, 300, 0.01),
        ({"n_embd": 32, "n_layer": 2}, 1000, 0.01),
        ({"n_embd": 48}, 500, 0.01),
        ({"n_embd": 24, "n_layer": 2}, 1500, 0.005),
    ],
)
def test_the_effort_of_a_run_is_about_what_was_estimated(
    library: Path, names: Text, lengths: TextLengths, sizes: dict[str, int], steps: int, lr: float
) -> None:
    """An active value in twenty more is 2 to 5 % of a step, and a careful pair in twenty 2 to 3 %."""
    learner = Learner(names, steps=steps, lr=lr, path=library, **sizes)
    found = time_model.mean_effort(learner)
    shape = replace(DEFAULT, **sizes)
    expected = training_time.expected_effort(library, shape, lengths, steps=steps, lr=lr)
    assert expected.active == pytest.approx(found.active, abs=0.05)
    assert expected.careful == pytest.approx(found.careful, abs=0.05)


# ---- The function ---------------------------------------------------------------------------------------------------


@examples(200)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=200), st.integers(1, 1024))
def test_means_are_over_what_training_enters_of_each_document(
    library: Path, characters: list[int], block_size: int
) -> None:
    found = TextLengths(characters).positions(library, block_size)
    positions = np.minimum(np.array(characters) + 1, block_size).astype(float)
    assert found.count == pytest.approx(positions.mean(), rel=1e-5)
    assert found.squared == pytest.approx((positions**2).mean(), rel=1e-5)


def test_the_longest_text_of_the_longest_documents_overflows_nothing(library: Path) -> None:
    found = TextLengths([2000] * 65535).positions(library, 1024)
    assert (found.count, found.squared) == pytest.approx((1024, 1024**2), rel=1e-3)


@examples(200)
@given(
    n_head=st.integers(1, 8),
    head=st.sampled_from((4, 8, 16)),
    n_layer=st.integers(1, 4),
    vocab_size=st.integers(2, 255),
    length=st.integers(1, 40),
    active=st.floats(0.01, 0.6),
    careful=st.floats(0, 0.5),
    cores=st.sampled_from((1, 2)),
)
def test_more_work_takes_longer(
    library: Path,
    n_head: int,
    head: int,
    n_layer: int,
    vocab_size: int,
    length: int,
    active: float,
    careful: float,
    cores: int,
) -> None:
    """Of anything but columns beside a tile of 8, which n_embd of a multiple of 8 does without."""
    shape = Shape(n_head * head, n_head, n_layer, 41, vocab_size)

    def cycles(shape: Shape, length: int, active: float, careful: float, cores: int = cores) -> float:
        return training_time.cycles(library, shape, TextLengths([length]), cores=cores, effort=Effort(active, careful))

    base = cycles(shape, length, active, careful)
    assert base > 0
    more = [
        cycles(replace(shape, n_layer=n_layer + 1), length, active, careful),
        cycles(replace(shape, vocab_size=vocab_size + 1), length, active, careful),
        cycles(replace(shape, block_size=80), length, active, careful),
        cycles(shape, length + 1 if length < 40 else length, active, careful) + (length == 40),
        cycles(shape, length, active + 0.1, careful),
        cycles(shape, length, active, careful + 0.1),
    ]
    wider = 8 * n_head - shape.n_embd % 8
    if head != 4 and (shape.n_embd + wider) % n_head == 0 and shape.n_embd % 8 == 0:
        more.append(cycles(replace(shape, n_embd=shape.n_embd + wider), length, active, careful))
    assert min(more) > base
    one, two = (cycles(shape, length, active, careful, cores) for cores in (1, 2))
    assert one / 2.1 < two < one


@pytest.mark.parametrize(
    "wrong",
    [{"cores": 0}, {"cores": 3}, {"steps": 0}, {"steps": 10_000_001}, {"lr": 0.0}, {"lr": float("nan")}, {"clock": 0}],
)
def test_what_no_chip_has_is_refused(library: Path, lengths: TextLengths, wrong: dict[str, float]) -> None:
    arguments = {"steps": 1000, "cores": 2, **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        training_time.seconds(library, DEFAULT, lengths, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("characters", [[], [3, -1]])
def test_a_text_that_is_none_is_refused(characters: list[int]) -> None:
    with pytest.raises(ValueError, match="documents"):
        TextLengths(characters)


def test_before_the_first_step_there_is_no_effort(library: Path, names: Text) -> None:
    with pytest.raises(c_library.Error, match="no step"):
        _ = Learner(names, path=library).effort


def test_the_effort_of_a_step_is_what_its_arrays_say(library: Path) -> None:
    """Of new weights half the hidden values are active, and some moments small; soon none is, and less is active."""
    learner = Learner(Text.open(NAMES), path=library)
    learner.train(1)
    new = learner.effort
    assert 0.4 < new.active < 0.6
    assert 0 < new.careful < 0.5
    learner.train(500)
    assert learner.effort.active < 0.3
    assert learner.effort.careful == 0


# ---- The fit --------------------------------------------------------------------------------------------------------


@pytest.fixture
def invented(library: Path) -> time_model.Found:
    """What bench would find if cycles were exactly these sums, a tenth more of them on one core than committed."""
    rng = np.random.default_rng(2)
    coefficients = time_model.Coefficients(
        cycles={cores: rng.uniform(1, 100, len(time_model.terms(library))) for cores in time_model.CORES},
        active=rng.normal(size=21),
        careful=rng.normal(size=21),
        least=rng.normal(size=6),
        most=rng.normal(size=6),
    )
    return time_model.Found([], [], [], coefficients, changed=0.1)


def test_the_file_is_rewritten_when_what_it_says_changes(
    invented: time_model.Found, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "training_fit.c"
    path.write_text("as it was")
    monkeypatch.setattr(time_model, "COEFFICIENTS", path)
    assert not time_model.write(replace(invented, changed=time_model.CHANGED / 2), library)
    assert path.read_text() == "as it was"
    assert time_model.write(invented, library)
    numbers = [float(number) for number in re.findall(r"(-?\d\.\d+e[+-]\d\d)f", path.read_text())]
    written = invented.coefficients
    wanted = [*written.cycles[1], *written.cycles[2], *written.active, *written.careful, *written.least, *written.most]
    assert numbers == pytest.approx(wanted, rel=1e-6)


def test_a_share_is_fitted_whatever_its_factors_are_measured_in() -> None:
    """Coefficients of the raw factors, found by way of standardised ones, give the shares back."""
    rng = np.random.default_rng(3)
    factors = np.c_[rng.uniform(2, 8, (150, 3)), np.ones(150)]
    shares = time_model._sigmoid(-1 + 0.5 * factors[:, 0] - 0.1 * factors[:, 1] * factors[:, 2])
    found = time_model._fit_share(factors, shares)
    again = time_model._sigmoid(time_model._products(factors) @ found)
    assert np.abs(again - shares).max() < 0.02


# ---- Who says it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [{}, {"n_embd": 24, "n_layer": 2, "steps": 300, "cores": 1, "lr": 0.02}])
def test_info_and_fit_say_the_same(
    programs: Programs, scons: Callable[..., Completed], library: Path, lengths: TextLengths, chosen: dict[str, object]
) -> None:
    """The console here, the console on the emulated core, `scons fit`, and Python."""
    options = {"n_embd": 16, "n_layer": 1, "steps": 1000, "cores": 2, "lr": 0.01, **chosen}
    (here,) = session(programs.host(console="yes", **chosen), "info")
    _, (there,) = answers(emulator.capture(*programs.sim(console="yes", **chosen), RUN_TIMEOUT, typed="info\n").stdout)
    (line,) = (line for line in here.lines if line.startswith("time: "))
    assert line in there.lines
    said = re.fullmatch(
        r"time: about (\S+) s for (\d+) steps of an ESP32 with cores=([12]) at 240 MHz, by the cycle model", line
    )
    assert said is not None, line
    assert said.groups()[1:] == (str(options["steps"]), str(options["cores"]))
    with programs.build_folder() as build:
        fit = scons("fit", *(f"{name}={value}" for name, value in chosen.items()), f"build={build}")
    assert fit.returncode == 0, fit.stderr
    own = f"  n_embd={options['n_embd']} n_layer={options['n_layer']} takes about {said[1]} s"
    assert own in fit.stdout.splitlines(), fit.stdout
    assert f"* for {said[2]} steps of an ESP32 with cores={said[3]} at 240 MHz, by the cycle model" in fit.stdout
    shape = replace(DEFAULT, n_embd=options["n_embd"], n_layer=options["n_layer"])  # type: ignore[arg-type]
    seconds = training_time.seconds(library, shape, lengths, int(said[2]), int(said[3]), lr=float(str(options["lr"])))
    assert training_time.rounded(seconds) == said[1]


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0.58312, "0.58"), (1.1661, "1.2"), (12.345, "12"), (123.4, "123"), (0.0012, "0.0012"), (0.00001, "0.0000")],
)
def test_seconds_have_two_digits(seconds: float, wanted: str) -> None:
    assert training_time.rounded(seconds) == wanted
