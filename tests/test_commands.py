"""Commands at the console: what each answers, and that asking changes nothing that was not to be changed."""

import ctypes
import math
import re
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Programs
from console import Answer, answers, session
from hypothesis import given, settings
from hypothesis import strategies as st
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.plan import options, toolchain
from mgbuild.plan.dataset import read_header
from microgpt import Learner, Text

from python_ref import numpy_gpt
from python_ref.model import Shape

Ask = Callable[..., list[Answer]]
Reference = Callable[[list[int]], numpy_gpt.Trace]

NAMES = Path("data/names.txt")
STEPS = 300
SHAPE = Shape(n_embd=12, n_head=3, n_layer=2, block_size=10, vocab_size=27)
CHOSEN = {"n_embd": 12, "n_head": 3, "n_layer": 2, "block_size": 10, "steps": STEPS, "samples": 3, "seed": 5}


@pytest.fixture(scope="module")
def ask(programs: Programs) -> Ask:
    """Function that types commands to the program on this machine, after a run of it with such options."""

    def run(*commands: str, **chosen: object) -> list[Answer]:
        return session(programs.host(console="yes", **(chosen or CHOSEN)), *commands)

    return run


@pytest.fixture(scope="module")
def learner(programs: Programs) -> Learner:
    """The model that the program has after such a run."""
    settings_ = {name: value for name, value in CHOSEN.items() if name != "samples"}
    found = Learner(Text.open(NAMES), path=programs.library(), **settings_)
    found.train()
    return found


@pytest.fixture(scope="module")
def reference(learner: Learner) -> Reference:
    """The NumPy model's pass over tokens, in float64, with that model's weights."""
    weights = np.concatenate([array.ravel() for array in learner.weights.values()]).astype(float)
    return lambda tokens: numpy_gpt.forward(weights, SHAPE, tokens)


def run_of(answer: Answer) -> list[str]:
    """The lines of a run, less the remarks."""
    return [line for line in answer.lines if not line.startswith("# ")]


def test_without_input_the_console_changes_nothing(programs: Programs) -> None:
    plain, asked = programs.run_host(**CHOSEN), programs.run_host(console="yes", **CHOSEN)
    assert asked.stdout == plain.stdout + "> "
    assert asked.returncode == plain.returncode == 0


def test_help_names_every_command_within_80_columns(ask: Ask) -> None:
    (every,) = ask("help")
    names = [line.split()[0] for line in every.lines[:-1]]
    assert names == (
        "help info set train names complete temperature teach loss next attention check save load forget reset".split()
    )
    assert max(map(len, every.lines)) <= 80
    for name, answer in zip(names, ask(*(f"help {name}" for name in names)), strict=True):
        assert answer.lines[0].startswith(name)
        assert re.fullmatch(rf"for example: {name}( .*)?", answer.lines[1])


def test_every_example_of_help_can_be_typed(ask: Ask) -> None:
    (every,) = ask("help")
    nowhere_to_keep = ("reset", "save", "load", "forget")
    names = [line.split()[0] for line in every.lines[:-1] if not line.startswith(nowhere_to_keep)]
    examples = [answer.lines[1].removeprefix("for example: ") for answer in ask(*(f"help {name}" for name in names))]
    assert all(answer.ok for answer in ask(*examples))


@pytest.mark.parametrize("command", ["hlep", "Help", "help hlep", "1", "ok", "> help"])
def test_what_is_no_command_is_named(ask: Ask, command: str) -> None:
    (answer,) = ask(command)
    assert answer.error == f"no command is called {command.removeprefix('help ').split()[0]}; help lists them"


@pytest.mark.parametrize("command", ["info now", "check all", "reset 1"])
def test_arguments_that_a_command_does_not_take_are_refused(ask: Ask, command: str) -> None:
    (answer,) = ask(command)
    assert answer.error == f"{command.split()[0]} takes no arguments"


# ---- Training -------------------------------------------------------------------------------------------------------


def test_training_in_pieces_between_which_it_is_asked_ends_with_the_same_run(ask: Ask) -> None:
    """Losses, samples and checksum: what is invented meanwhile is drawn from another generator."""
    (whole,) = ask("set seed=9", "train")[1:]
    asked = ("names 7", "next an", "loss anna", "attention anna", "complete ma 2", "check", "info")
    pieces = ask("set seed=9", "train 100", *asked, "train 1", "names 2", "train 77", *asked, "train")
    parts = [answer for answer in pieces if any(line.startswith(("step ", "# stopped at")) for line in answer.lines)]
    assert len(parts) == 4
    assert [line for part in parts for line in run_of(part)] == run_of(whole)
    assert parts[0].lines[-1] == f"# stopped at step 100 of {STEPS}; train goes on"


def test_training_that_was_interrupted_by_a_new_start_leaves_no_trace(ask: Ask) -> None:
    *_, again = ask("set seed=9", "train 150", "set seed=5", "train")
    (first,) = ask("set seed=5", "train")[1:]
    assert run_of(again) == run_of(first)


def test_a_run_that_is_at_its_end_needs_a_new_start(ask: Ask) -> None:
    (answer,) = ask("train")
    assert answer.error == "training is at its end; for a new start set seed, steps or shape"


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5", "1e3", "99999999999"])
def test_train_takes_a_number(ask: Ask, count: str) -> None:
    assert ask(f"train {count}")[0].error == "train takes a number of steps, or nothing: to the end"


def test_another_run_is_that_of_the_build_with_the_same_options(ask: Ask, programs: Programs) -> None:
    """Learning rate and temperature as the build rounds them; a seed of 64 bits, and one that is negative."""
    for chosen in (
        {"n_embd": 8, "n_head": 2, "n_layer": 1, "block_size": 7, "steps": 40, "seed": 12345678901234567, "samples": 4},
        {"n_embd": 20, "n_head": 5, "lr": 0.0035, "temperature": 1.25, "log_every": 7, "seed": -3, "steps": 50},
    ):
        words = " ".join(f"{name}={value}" for name, value in chosen.items())
        base = {name: value for name, value in CHOSEN.items() if name not in chosen}
        *_, answer = ask(f"set {words}", "train")
        assert "\n".join(run_of(answer)) + "\n" == programs.run_host(**base, **chosen).stdout


# ---- Settings -------------------------------------------------------------------------------------------------------


def test_settings_are_shown_as_they_are_typed(ask: Ask) -> None:
    shown, changed, again = ask("set", "set lr=0.0025 temperature=2 samples=7 log_every=3", "set")
    assert shown.lines == [
        f"set n_embd=12 n_head=3 n_layer=2 block_size=10 steps={STEPS}",
        "set samples=3 log_every=100 save_every=0 lr=0.01 temperature=0.5",
        "set seed=5",
    ]
    assert changed.lines == [], "at once, and the run goes on"
    assert again.lines[1] == "set samples=7 log_every=3 save_every=0 lr=0.0025 temperature=2"


@pytest.mark.parametrize("word", ["n_embd=16 n_head=4", "n_layer=1", "block_size=9", "steps=7", "seed=5"])
def test_what_makes_another_run_waits_for_train(ask: Ask, word: str) -> None:
    before, changed, after, info = ask("loss anna", f"set {word}", "loss anna", "info")
    assert changed.lines == ["# the next train starts anew; until then the model stays as it is"]
    assert after == before
    assert info.lines[-1] == "# settings have changed: the next train starts anew"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("n_embed=16", "n_embed is no setting; set alone shows them; nothing was changed"),
        ("lr", "lr is no setting; set alone shows them; nothing was changed"),
        ("steps=0", "steps=0 must be a whole number from 1 to 10000000; nothing was changed"),
        ("steps=10000001", "steps=10000001 must be a whole number from 1 to 10000000; nothing was changed"),
        ("n_layer=-1", "n_layer=-1 must be a whole number from 1 to 64; nothing was changed"),
        ("n_embd=16x", "n_embd=16x must be a whole number from 1 to 1024; nothing was changed"),
        ("samples=4294967297", "samples=4294967297 must be a whole number from 1 to 1000000; nothing was changed"),
        ("lr=0", "lr=0 must be a number from 1e-9 to 100; nothing was changed"),
        ("lr=1e-10", "lr=1e-10 must be a number from 1e-9 to 100; nothing was changed"),
        ("lr=nan", "lr=nan must be a number from 1e-9 to 100; nothing was changed"),
        ("temperature=1001", "temperature=1001 must be a number from 0.001 to 1000; nothing was changed"),
        ("temperature=", "temperature= must be a number from 0.001 to 1000; nothing was changed"),
        ("seed=", "seed= must be an integer, or hw; nothing was changed"),
        ("seed=12a", "seed=12a must be an integer, or hw; nothing was changed"),
        ("seed=0x10000000000000000", "seed=0x10000000000000000 is too long for the console; nothing was changed"),
        ("seed=hw", "seed=hw: only the chip draws one; nothing was changed"),
        ("n_embd=13", "nothing was changed: n_embd=13 is not divisible by n_head=3"),
        ("lr=0.5 n_embd=13 seed=6", "nothing was changed: n_embd=13 is not divisible by n_head=3"),
        ("seed=6 lr=0.5 n_embd=18 oops", "oops is no setting; set alone shows them; nothing was changed"),
    ],
)
def test_settings_that_make_no_sense_change_nothing(ask: Ask, words: str, error: str) -> None:
    before, refused, after = ask("set", f"set {words}", "set")
    assert refused.error == error
    assert after == before


@pytest.mark.parametrize("name", "n_embd n_head n_layer block_size steps samples log_every lr temperature".split())
def test_the_console_s_limits_are_the_build_s(ask: Ask, name: str) -> None:
    for value in ("0", "10000001"):
        with pytest.raises(UserError) as refused:
            options.parse({name: value})
        sentence = re.search(r"must be a (whole )?number from \S+ to \d+", str(refused.value))[0]
        assert ask(f"set {name}={value}")[0].error.startswith(f"{name}={value} {sentence.replace('1e-09', '1e-9')};")


def test_a_model_that_does_not_fit_is_refused_with_what_is_missing(programs: Programs) -> None:
    firmware, text = programs.sim(console="yes", **CHOSEN)
    typed = "set n_embd=600 n_layer=8\nloss anna\n"
    _, found = answers(emulator.capture(firmware, text, 60, typed=typed).stdout)
    assert re.fullmatch(r"nothing was changed: memory lacks \d+ bytes; it would fit with n_embd=\d+", found[0].error)
    assert found[1].ok


def test_the_temperature_has_a_command_of_its_own(ask: Ask) -> None:
    shown, changed, settings_, refused = ask("temperature", "temperature 0.75", "set", "temperature cold")
    assert (shown.lines, changed.lines) == (["temperature=0.5"], [])
    assert settings_.lines[1].endswith("temperature=0.75")
    assert refused.error == "temperature=cold must be a number from 0.001 to 1000; nothing was changed"


@pytest.fixture(scope="module")
def parse_real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], np.float32 | None]:
    """The console's reading of a number; None where it takes it for none."""
    library = tmp_path_factory.mktemp("parse") / "parse.so"
    parts = [ROOT / "src_c" / part for part in ("app/parse.c", "math/math32.c")]
    words = [*toolchain.find_host().compile, "-shared", "-fPIC", f"-I{ROOT / 'src_c'}", "-o", library, *parts, "-lm"]
    subprocess.run(words, check=True)
    function = ctypes.CDLL(str(library)).parse_real
    function.restype = ctypes.c_bool

    def parse(text: str) -> np.float32 | None:
        value = ctypes.c_float()
        return np.float32(value.value) if function(text.encode(), ctypes.byref(value)) else None

    return parse


@given(st.decimals(min_value="1e-9", max_value=100, allow_nan=False, places=8).filter(lambda value: value >= 1e-9))
@settings(max_examples=400)
def test_numbers_are_rounded_as_python_rounds_them(parse_real: Callable, value: Decimal) -> None:
    """To the nearest float32, for as many digits as count: nine."""
    for text in (f"{value:.9g}", f"{value:.8e}", f"{value:f}"[:10]):
        if Decimal(text) >= Decimal("1e-9"):
            assert parse_real(text) == np.float32(text), text


@pytest.mark.parametrize("text", ["", ".", "-1", "+1", "1e", "1e+", "1..2", "1,5", "0x10", "inf", "1e-19", "1e30"])
def test_what_is_no_number_of_this_console(parse_real: Callable, text: str) -> None:
    assert parse_real(text) is None


def test_info_says_what_is_there(ask: Ask, learner: Learner, programs: Programs) -> None:
    text = read_header(programs.dataset().read_bytes())
    (answer,) = ask("info")
    assert answer.lines[2:6] == [
        "cores: 1",
        f"text: 32033 documents, 26 characters, crc32 {text.crc32:08x}",
        "model: n_embd=12 n_head=3 n_layer=2 block_size=10, 4224 parameters",
        f"training: seed 5, step {STEPS} of {STEPS}, weights crc32 {learner.checksum}",
    ]
    assert answer.lines[6].startswith("time: about ")
    taken, there = map(int, re.fullmatch(r"memory: (\d+) of (\d+) bytes", answer.lines[7]).groups())
    purposes = {line[12:]: int(line[:10]) for line in answer.lines[8:]}
    assert list(purposes) == [
        *("order of documents", "weights", "Adam's first moments", "Adam's second moments"),
        *("activations", "gradients and scratch"),
    ]
    assert sum(purposes.values()) == taken < there
    assert purposes["weights"] == 4 * learner.parameters


# ---- What the model says --------------------------------------------------------------------------------------------

BAR = re.compile(r" {0,2}(\S|end)  (\d\.\d{6}|\d\d\.\d{6})  (#*)")


def bars(answer: Answer) -> list[tuple[str, float, int]]:
    """What stands before a bar, the number and the bar's length, of each line that has one."""
    return [(found[1], float(found[2]), len(found[3])) for line in answer.lines if (found := BAR.fullmatch(line))]


@pytest.mark.parametrize("text", ["anna", "a", "zzzzzzzzz", "abcdefghij", "abcdefghijk", "abcdefghijklmnop"])
def test_the_surprise_at_each_character_is_the_reference_s(ask: Ask, reference: Reference, text: str) -> None:
    (answer,) = ask(f"loss {text}")
    tokens = [26, *(ord(character) - ord("a") for character in text), 26][: SHAPE.block_size + 1]
    logits = reference(tokens[:-1]).logits
    wanted = -np.log(numpy_gpt.softmax(logits)[np.arange(len(tokens) - 1), tokens[1:]])
    found = bars(answer)
    assert [label for label, *_ in found] == ["end" if token == 26 else chr(token + ord("a")) for token in tokens[1:]]
    assert np.abs([number for _, number, _ in found] - wanted).max() < 1e-5
    mean, guessing = map(float, re.findall(r"\d+\.\d+", answer.lines[-1]))
    assert abs(mean - wanted.mean()) < 1e-5
    assert abs(guessing - math.log(27)) < 1e-6
    assert (answer.lines[0] == "# longer than block_size: the first 10 positions count") == (len(text) >= 10)


@pytest.mark.parametrize("prefix", ["", "a", "an", "zzzzzzzzz"])
def test_what_may_follow_is_the_reference_s(ask: Ask, reference: Reference, prefix: str) -> None:
    (answer,) = ask(f"next {prefix}".strip())
    probabilities = numpy_gpt.softmax(reference([26, *(ord(one) - ord("a") for one in prefix)]).logits)[-1]
    found = bars(answer)
    likeliest = np.argsort(-probabilities)[: len(found)]
    assert [label for label, *_ in found] == ["end" if token == 26 else chr(token + ord("a")) for token in likeliest]
    assert np.abs([number for _, number, _ in found] - probabilities[likeliest]).max() < 1e-5
    assert [length for *_, length in found] == [int(60 * number + 0.5) for _, number, _ in found]
    assert len(found) == len(answer.lines) == 12
    assert max(map(len, answer.lines)) <= 80


@pytest.mark.parametrize("text", ["anna", "abcdefghijklm"])
def test_attention_is_the_reference_s_in_tenths(ask: Ask, reference: Reference, text: str) -> None:
    """Rounded down; either digit where the weight is within 1e-5 of a whole tenth."""
    (answer,) = ask(f"attention {text}")
    tokens = [26, *(ord(character) - ord("a") for character in text)][: SHAPE.block_size]
    trace = reference(tokens)
    rows = [line for line in answer.lines if re.fullmatch(r"  \S  [\d.].*", line)]
    assert len(rows) == SHAPE.n_layer * len(tokens)
    assert [row[2] for row in rows] == ["^", *text[: len(tokens) - 1]] * SHAPE.n_layer
    for number, row in enumerate(rows):
        layer, position = divmod(number, len(tokens))
        heads = row[3:].split()
        assert len(heads) == SHAPE.n_head
        for head, shown in enumerate(heads):
            weights = trace.layers[layer].probabilities[head, position, : position + 1]
            assert len(shown) == position + 1
            for character, weight in zip(shown, weights, strict=True):
                tenths = 0 if character == "." else int(character)
                assert tenths - 1e-4 <= 10 * weight <= tenths + 1 + 1e-4
    assert max(map(len, answer.lines)) <= 89


def test_completions_begin_with_what_was_typed_and_names_do_not_depend_on_when_they_are_asked_for(ask: Ask) -> None:
    names, more, completed = ask("names 40", "names 3", "complete mar 20")
    assert (len(names.lines), len(more.lines), len(completed.lines)) == (40, 3, 20)
    assert len({*names.lines}) > 10
    assert all(name.startswith("mar") and len(name) <= SHAPE.block_size for name in completed.lines)
    split = [line for answer in ask("names 25", "loss anna", "names 18") for line in answer.lines[:25]]
    assert [line for line in split if not re.search(r"\d", line)] == [*names.lines, *more.lines]


def test_names_alone_are_as_many_as_samples(ask: Ask) -> None:
    assert [len(answer.lines) for answer in ask("names", "set samples=6", "names")] == [3, 0, 6]


@pytest.mark.parametrize("count", [1, 10, 25])
def test_teaching_is_so_many_steps_of_adam_at_the_full_rate(ask: Ask, count: int) -> None:
    """The text becomes likelier, with every step more so; the place in training stays."""
    before, taught, again, info = ask("loss quxi", f"teach quxi {count}", "loss quxi", "info")
    losses = [float(line.split()[-1]) for line in taught.lines]
    assert f"mean {losses[0]:.6f} " in before.lines[-1]
    assert f"mean {losses[1]:.6f} " in again.lines[-1]
    assert losses[1] < losses[0] * (1 - 0.005 * count)
    assert f"training: seed 5, step {STEPS} of {STEPS}," in info.lines[5]


def test_teaching_between_steps_leaves_order_and_rate_of_training(ask: Ask, programs: Programs) -> None:
    """Another run from there on, but of as many steps with the same documents."""
    *_, taught = ask("set seed=9", "train 100", "teach quxi 3", "train")
    *_, plain = ask("set seed=9", "train")
    steps = [line.split("|")[0] for line in run_of(taught) if line.startswith("step")]
    assert steps == [line.split("|")[0] for line in run_of(plain) if line.startswith("step")][2:]
    assert taught.lines[-1] != plain.lines[-1]


def test_quotes_keep_a_number_or_spaces_in_the_text(tmp_path: Path, programs: Programs) -> None:
    text = tmp_path / "text.txt"
    text.write_text("route 66\nroute 7\nstation 5\n  two spaces\n")
    program = programs.host(dataset=text, steps=5, samples=1, console="yes")
    found = session(program, 'complete "route 6" 2', "complete route 2", 'loss "  two"', "complete route 66")
    assert [len(answer.lines) for answer in found] == [2, 2, 7, 66]
    assert all(line.startswith("route 6") for line in found[0].lines)
    assert all(line.startswith("route") for line in found[3].lines)


@pytest.mark.parametrize("command", ["loss", "attention", "teach", "complete", "next"])
def test_a_character_outside_of_the_alphabet_is_named(ask: Ask, command: str) -> None:
    for character in "É9ツ😀":
        assert ask(f"{command} an{character}a")[0].error == f"the model's alphabet has no '{character}'"


@pytest.mark.parametrize("command", ["loss", "attention", "teach", "complete"])
def test_a_text_that_is_missing_is_asked_for(ask: Ask, command: str) -> None:
    assert [answer.error for answer in ask(command, f'{command} ""')] == ["which text? help shows an example"] * 2


@pytest.mark.parametrize("command", ["next", "complete"])
def test_a_text_that_leaves_no_room_is_refused(ask: Ask, command: str) -> None:
    fits, too_long = ask(f"{command} abcdefghi", f"{command} abcdefghij")
    assert fits.ok
    assert too_long.error == "the text is longer than block_size - 1 = 9 characters: nothing can follow"


# ---- Everywhere the same --------------------------------------------------------------------------------------------

SESSION = (
    *("info", "names 3", "complete mar 2", "teach zoe 4", "loss emma", "next em", "attention emma", "check"),
    *("set n_embd=20 n_head=2 seed=77 steps=30 lr=0.02", "train 11", "names 2", "train", "bogus", "complete Zoé"),
)
HERE = re.compile(r"^(a program of this machine|an emulated Xtensa core \(de233_fpu\)|memory: .*)$", re.M)


@pytest.mark.parametrize("kernels", ["asm", "plain"])
def test_the_emulated_core_gives_this_machine_s_answers(programs: Programs, kernels: str) -> None:
    typed = "".join(f"{command}\n" for command in SESSION)
    core = emulator.capture(*programs.sim(console="yes", kernels=kernels, **CHOSEN), 120, typed=typed)
    here = subprocess.run(
        [programs.host(console="yes", **CHOSEN)], input=typed, capture_output=True, encoding="utf-8", check=False
    )
    assert HERE.sub("", core.stdout) == HERE.sub("", here.stdout)
    assert (core.stderr, core.returncode, here.returncode) == ("", 1, 1)
    found = answers(core.stdout)[1]
    assert [answer.ok for answer in found] == [True] * 12 + [False] * 2
