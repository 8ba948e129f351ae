"""Options, targets, shapes, and the table of options in the program: values accepted, mistakes named."""

import ctypes
import dataclasses
import random
import re
import subprocess

import pytest
from conftest import ROOT
from hypothesis import assume, given
from hypothesis import strategies as st
from mgbuild.errors import UserError
from mgbuild.plan import build_folder, configure, dataset, options, settings_table, targets
from mgbuild.plan.shape import Shape

VERSION = configure.Version("v1")


@pytest.fixture(autouse=True)
def in_root(monkeypatch, root):
    monkeypatch.chdir(root)  # the default data set is a path from there


def test_every_option_is_a_setting():
    fields = [field.name for field in dataclasses.fields(options.Settings)]
    assert sorted(fields) == sorted(option.name for option in options.OPTIONS)


def test_defaults_are_microgpts():
    settings = options.parse({})
    assert (settings.n_embd, settings.n_head, settings.n_layer, settings.block_size) == (16, 4, 1, 16)
    assert (settings.seed, settings.steps, settings.lr, settings.temperature) == (42, 1000, 0.01, 0.5)
    assert (settings.samples, settings.log_every) == (20, 100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": "3"}, "unknown option seeds= ; did you mean seed\\?.*dataset.*temperature"),
        ({"steps": "0"}, "steps=0 must be a whole number from 1 to"),
        ({"steps": "-5"}, "steps=-5"),
        ({"steps": "1e3"}, "steps=1e3"),
        ({"steps": "99999999999"}, "steps=99999999999"),
        ({"n_embd": "100000", "n_head": "1"}, "n_embd=100000"),
        ({"n_layer": "1.5"}, "n_layer=1.5"),
        ({"block_size": ""}, "block_size= must"),
        ({"samples": "many"}, "samples=many"),
        ({"log_every": "0"}, "log_every=0"),
        ({"seed": "pi"}, "seed=pi must be an integer"),
        ({"lr": "0"}, "lr=0 must be a number"),
        ({"lr": "nan"}, "lr=nan"),
        ({"lr": "inf"}, "lr=inf"),
        ({"temperature": "-1"}, "temperature=-1"),
        ({"temperature": "warm"}, "temperature=warm"),
        ({"toolchain": "lvm"}, "toolchain=lvm.*did you mean llvm"),
        ({"cores": "3"}, "cores=3 is not one of the choices"),
        ({"kernels": "ams"}, "kernels=ams.*did you mean asm"),
        ({"dataset": "no/such.txt"}, "dataset=no/such.txt does not exist"),
        ({"dataset": "data"}, "dataset=data is a directory"),
        ({"dataset": "/dev/zero"}, "dataset=/dev/zero is not a file that can be read twice"),
        ({"dataset": "x" * 5000}, "cannot be read: File name too long"),
        ({"flash_size": "3"}, "valid: 1, 2, 4, 8, 16"),
        ({"verbose": "yes"}, "verbose=yes is not one of the choices; valid: 0, 1"),
        ({"build": "x" * 5000}, "cannot be read: File name too long"),
        ({"build": "tests"}, "build=tests already holds files"),
        ({"build": "SConstruct"}, "build=SConstruct must name a folder"),
        ({"build": ""}, "build= must name a folder"),
        ({"baud": "fast"}, "baud=fast"),
        ({"until": "("}, r"until=\( is no regular expression: missing \)"),
        ({"send": " "}, "send=  must be one line, a command for the chip"),
        ({"send": "a\nb"}, "must be one line"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        options.parse(arguments)


@pytest.mark.parametrize("character", list("$\"'%\\`\n"))
def test_a_build_folder_whose_name_a_shell_would_read_is_refused(character):
    with pytest.raises(UserError, match="which the tools of a build take for more than a name"):
        options.parse({"build": f"a{character}b"})


def test_paths_start_where_the_user_stands(tmp_path, root):
    (tmp_path / "mine.txt").write_text("emma\n")
    settings = options.parse({"dataset": "mine.txt", "log": "run.log", "build": "out"}, tmp_path)
    assert settings.dataset == tmp_path / "mine.txt"
    assert (settings.log, settings.build) == (str(tmp_path / "run.log"), tmp_path / "out")
    assert str(options.parse({}, tmp_path).dataset) == "data/names.txt"
    assert options.parse({"until": "x", "port": "/dev/ttyUSB0"}, tmp_path).log == ""
    inside = options.parse({"dataset": "README.md", "build": "../out"}, root / "data")
    assert (str(inside.dataset), str(inside.build)) == ("data/README.md", "out")
    with pytest.raises(UserError, match=f"dataset=no.txt does not exist .looked for {tmp_path / 'no.txt'}"):
        options.parse({"dataset": "no.txt"}, tmp_path)


def test_a_text_in_the_build_folder_is_refused(tmp_path):
    build_folder.make(tmp_path)
    (tmp_path / "dataset.bin").write_text("emma\n")
    with pytest.raises(UserError, match="lies in the build folder"):
        options.parse({"dataset": str(tmp_path / "dataset.bin"), "build": str(tmp_path)})


def test_of_equal_names_the_last_counts_but_every_command_is_sent():
    words = [("send", "set n_embd=24"), ("seed", "1"), ("send", "train"), ("seed", "2")]
    settings = options.parse(words)
    assert (settings.seed, settings.send) == (2, ("set n_embd=24", "train"))
    assert (options.parse({}).send, options.parse({}).until) == ((), None)
    with pytest.raises(UserError, match="send= must be one line"):
        options.parse([("send", ""), ("send", "train")])


def test_fit_chooses_a_width_for_any_number_of_heads():
    assert options.parse({"n_head": "3"}, width_is_asked=True).n_embd == 18
    assert options.parse({}, width_is_asked=True).n_embd == 16
    for arguments in ({"n_head": "3"}, {"n_head": "3", "n_embd": "16"}):
        with pytest.raises(UserError, match="n_embd=16 is not divisible by n_head=3"):
            options.parse(arguments, width_is_asked="n_embd" in arguments)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed=7", "sim"], "--seed=7: options have no dashes here: seed=7"),
        (["sim", "--seed", "7"], "--seed: options have no dashes here: seed=7"),
        (["-seed"], "-seed: options have no dashes here: seed=VALUE"),
        (["--log-every=5"], "--log-every=5: options have no dashes here: log_every=5"),
    ],
)
def test_options_as_other_programs_write_them_get_a_hint(words, message):
    with pytest.raises(UserError, match=message):
        options.check_words(words, ["sim", "7"])
    options.check_words(["-j2", "-n", "--debug=explain", "seed=7", "sim"], ["sim"])


@pytest.mark.parametrize(
    ("n_embd", "n_head", "nearest"),
    [
        (16, 3, "n_embd=15 or 18 with n_head=3, or n_head=2 or 4 with n_embd=16"),
        (15, 4, "n_embd=12 or 16 with n_head=4, or n_head=3 or 5 with n_embd=15"),
        (16, 30, "n_embd=30 with n_head=30, or n_head=16 with n_embd=16"),
        (7, 2, "n_embd=6 or 8 with n_head=2, or n_head=1 or 7 with n_embd=7"),
    ],
)
def test_heads_that_do_not_divide_name_the_nearest_that_do(n_embd, n_head, nearest):
    with pytest.raises(UserError) as error:
        options.parse({"n_embd": str(n_embd), "n_head": str(n_head)})
    assert str(error.value) == f"n_embd={n_embd} is not divisible by n_head={n_head}; nearest: {nearest}"
    for embd in re.findall(r"\d+", nearest.partition(" with")[0]):
        assert int(embd) % n_head == 0


def test_help_names_everything():
    text = targets.help_text() + options.help_text()
    for option in options.OPTIONS:
        assert f"  {option.name}={option.default}" in text
    assert max(map(len, text.splitlines())) <= 80
    for name in targets.TARGETS:
        assert f"\n  {name} " in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hots", "unknown target hots; did you mean host\\?.*valid: bench, erase, esp32, fit, flash, flash-dataset"),
        ("falsh", "unknown target falsh; did you mean flash\\?"),
        ("steps", "steps is an option.*steps=VALUE"),
        ("elsewhere/firmware.elf", "unknown target elsewhere/firmware.elf"),
        ("help", "help is no target here; `scons -h` lists targets and options"),
        ("clean", "clean is no target here; `scons -c` removes"),
    ],
)
def test_unknown_targets_are_named(name, message, tmp_path):
    with pytest.raises(UserError, match=message):
        targets.check([name], tmp_path)


def test_a_target_involves_no_more_programs_than_it_needs(tmp_path):
    cases = {
        "sim": {"sim"},
        "host": {"host", "library"},
        "memory": {"esp32", "library"},
        "flash-dataset": {"library"},
        "web": {"web", "esp32", "library"},
        "pictures": {"web", "esp32", "library"},
        str(tmp_path / "wasm/kernels.wasm"): {"web", "esp32", "library"},
        "test": set(),
        str(tmp_path): {"esp32", "sim", "host", "bench", "web", "library"},
        str(tmp_path / "host/libmicrogpt.so"): {"host", "library"},
        str(tmp_path / "dataset.bin"): set(),
    }
    for name, programs in cases.items():
        assert targets.programs([name], tmp_path) == programs, name


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seed_hw_is_refused_where_a_program_would_run_away_from_the_chip(name, tmp_path):
    programs = targets.programs([name], tmp_path)
    if name in ("sim", "host", "bench"):
        with pytest.raises(UserError, match=f"seed=hw: only the chip draws its seed; give a number for {name}$"):
            options.check_seed(options.parse({"seed": "hw"}), programs)
    else:
        options.check_seed(options.parse({"seed": "hw"}), programs)


def test_parameters_of_the_default_shape():
    assert Shape(n_embd=16, n_head=4, n_layer=1, block_size=16, vocab_size=27).parameters == 4192
    assert Shape(n_embd=24, n_head=3, n_layer=2, block_size=8, vocab_size=30).parameters == 15456


@pytest.mark.parametrize("sizes", [(0, 1, 1, 1, 2), (4, 3, 1, 1, 2), (4, 4, 65, 1, 2), (4, 4, 1, 1, 257)])
def test_impossible_shapes_are_refused(sizes):
    with pytest.raises(UserError):
        Shape(*sizes)


@given(st.integers())
def test_seed_words_are_those_of_python(seed):
    words = settings_table.seed_words(seed)
    assert sum(word << 32 * place for place, word in enumerate(words)) == abs(seed)
    assert len(words) == 1 or words[-1] != 0
    assert random.Random(seed).random() == random.Random(abs(seed)).random()


READER = """
#include "app/settings.h"
uint32_t read(const struct settings *s, uint32_t *words, float *rates) {
    const uint32_t numbers[] = {s->n_embd,    s->n_head,         s->n_layer,   s->block_size, s->steps, s->samples,
                                s->log_every, s->save_every,     s->cores,     s->console,    s->start,
                                s->seed_from_chip, s->seed_room, s->seed_words};
    const uint32_t count = sizeof(numbers) / sizeof(numbers[0]);
    for (uint32_t i = 0; i < count; ++i) words[i] = numbers[i];
    for (uint32_t i = 0; i < s->seed_room; ++i) words[count + i] = s->seed[i];
    rates[0] = s->learning_rate;
    rates[1] = s->temperature;
    return count;
}
"""
READ = (
    *("n_embd", "n_head", "n_layer", "block_size", "steps", "samples", "log_every", "save_every", "cores"),
    *("console", "start", "seed_from_chip", "seed_room", "seed_words"),
)

numbers = st.fixed_dictionaries(
    {
        "n_embd": st.integers(1, 64).map(lambda width: 4 * width),
        "n_layer": st.integers(1, 64),
        "block_size": st.integers(1, 1024),
        "steps": st.integers(1, 10_000_000),
        "samples": st.integers(1, 1_000_000),
        "log_every": st.integers(1, 10_000_000),
        "save_every": st.integers(0, 10_000_000),
        "start": st.sampled_from(settings_table.STARTS),
        "cores": st.integers(1, 2),
        "lr": st.floats(1e-6, 1.0),
        "temperature": st.floats(1e-3, 100.0),
        "seed": st.integers() | st.just("hw"),
    }
)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Function that reads a table as the program does, through struct settings, into what each field says."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "reader.c").write_text(READER)
    include = f"-I{ROOT / 'src_c'}"
    subprocess.run(["gcc", "-shared", "-fPIC", include, "-o", "reader.so", "reader.c"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "reader.so"))

    def call(table):
        words, rates = (ctypes.c_uint32 * len(table))(), (ctypes.c_float * 2)()
        count = library.read(ctypes.create_string_buffer(table, len(table)), words, rates)
        found = dict(zip((*READ, "lr", "temperature"), [*words[:count], *rates], strict=True))
        return found, words[count : count + found["seed_room"]]

    return call


@given(numbers)
def test_the_program_reads_the_options_that_the_build_packed(read, chosen):
    settings = options.parse({name: str(value) for name, value in chosen.items()})
    table = settings_table.pack(settings)
    found, seed = read(table)
    wanted = {name: getattr(settings, name) for name in settings_table.NUMBERS}
    wanted |= {name: ctypes.c_float(getattr(settings, name)).value for name in settings_table.RATES}
    words = settings_table.seed_words(settings.seed or 0)
    room = max(len(words), 2)
    start = settings_table.STARTS.index(chosen["start"])
    typed = {
        "console": False,
        "start": start,
        "seed_from_chip": chosen["seed"] == "hw",
        "seed_room": room,
        "seed_words": len(words),
    }
    assert found == wanted | typed
    assert seed == [*words, *[0] * (room - len(words))], "and room for a seed of 64 bits, which ends the table"
    assert len(table) == 8 + 4 * (len(READ) + 2 + room)


@given(numbers, st.binary(max_size=50), st.binary(max_size=50))
def test_a_table_is_found_in_an_image(read, chosen, before, behind):
    table = settings_table.pack(options.parse({name: str(value) for name, value in chosen.items()}))
    assume((before + table).index(settings_table.MAGIC) == len(before))
    fields, _ = read(table)
    for name in ("console", "seed_room", "seed_words"):
        del fields[name]
    fields["start"] = settings_table.STARTS[fields["start"]]
    assert dataclasses.asdict(settings_table.find(before + table + behind)) == fields


def test_an_image_without_a_whole_table_has_none():
    table = settings_table.pack(options.parse({}))
    assert settings_table.find(b"") is None
    assert settings_table.find(table[1:]) is None
    assert settings_table.find(table[:50]) is None


def test_generated_headers():
    assert "#define CONSOLE_BAUD 921600\n" in configure.run_config(options.parse({"baud": "921600"}))
    assert '#define VERSION "v1.2"\n' in configure.version_header(configure.Version("v1.2"))


OTHER_VALUES = {
    **{"n_embd": "32", "n_head": "2", "n_layer": "2", "block_size": "8", "steps": "1001", "seed": "hw", "lr": "0.02"},
    **{"temperature": "1", "samples": "3", "log_every": "7", "baud": "9600", "flash_baud": "9600", "port": "x"},
}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_every_option_that_reaches_the_firmware_is_known_to(name):
    """Budgets bind the default firmware alone, and reports say what a firmware was made from."""
    default, other = options.parse({}), options.parse({name: OTHER_VALUES[name]})

    def made(settings):
        return settings_table.pack(settings), configure.run_config(settings)

    changed = configure.made_from(other, VERSION)["changed"]
    assert (made(other) != made(default)) == (list(changed) == [name])
    assert configure.made_from(default, VERSION)["changed"] == {}


def test_another_text_or_other_kernels_are_changes(tmp_path, root):
    (tmp_path / "names.txt").write_text("emma\n")
    record = configure.made_from(options.parse({"dataset": str(tmp_path / "names.txt"), "kernels": "plain"}), VERSION)
    assert record["changed"] == {"dataset": "names.txt", "kernels": "asm"}
    here = options.parse({"dataset": str(root / "data/names.txt")})
    assert configure.made_from(here, VERSION)["changed"] == {}
    image = tmp_path / "dataset.bin"
    image.write_bytes(dataset.pack(tmp_path / "names.txt"))
    text = configure.with_text(record, image)["text"]
    assert (text["documents"], text["vocab_size"]) == (1, 4)


def test_a_model_beyond_32_bits_is_refused_with_its_size() -> None:
    with pytest.raises(UserError, match="805,595,136 parameters .* no target here addresses more"):
        Shape(n_embd=1024, n_head=4, n_layer=64, block_size=16, vocab_size=133)
