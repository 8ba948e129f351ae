"""Every `name=value` option: its default, what it accepts, and the sentence that `scons -h` shows."""

import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from mgbuild.errors import UserError, suggestion
from mgbuild.plan import build_folder
from mgbuild.plan.shape import LIMITS, check_heads


@dataclass(frozen=True)
class Settings:
    """The checked value of every option, under the option's own name."""

    dataset: Path
    seed: int | None  # None: drawn by the chip
    steps: int
    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    lr: float
    temperature: float
    samples: int
    log_every: int
    save_every: int
    cores: int
    console: bool
    start: str
    resume: Path | None
    checkpoint: Path | None
    toolchain: str
    kernels: str
    build: Path
    k: str
    port: str
    baud: int
    flash_baud: int
    flash_mode: str
    flash_freq: str
    flash_size: int  # megabytes
    send: tuple[str, ...]
    until: re.Pattern[str] | None
    timeout: float
    log: str
    board: str
    against: str
    file: Path | None
    minutes: float
    trials: int
    workers: int
    storage: str
    verbose: bool


@dataclass(frozen=True)
class Option:
    """One option: `parse` turns the text after `=` into a value or raises ValueError with what is right."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    group: str
    is_path: bool = False  # relative to where the user stands
    repeats: bool = False  # may be given more than once; its value is all of them, in order


def _seed(text: str) -> int | None:
    if text == "hw":
        return None
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise ValueError("must be an integer, or hw for one that the chip draws") from None


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return parse


def _real(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return value

    return parse


def _choice(*valid: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in valid:
            raise ValueError(f"is not one of the choices; {suggestion(text, valid)}")
        return text

    return parse


def _choice_of_int(*valid: int) -> Callable[[str], int]:
    return lambda text: int(_choice(*map(str, valid))(text))


def _switch(text: str) -> bool:
    return _choice("0", "1")(text) == "1"


def _yes_or_no(text: str) -> bool:
    return _choice("yes", "no")(text) == "yes"


def _command(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line, a command for the chip; send=help lists them")
    return text


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None


def _text_file(text: str) -> Path:
    path = Path(text)
    try:
        if path.is_dir():
            raise ValueError("is a directory; give a text file with one document a line")
        if not path.exists():
            raise ValueError(f"does not exist (looked for {path.absolute()})")
        if not path.is_file():
            raise ValueError("is not a file that can be read twice; give a text file with one document a line")
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return path


def _file_to_read(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise ValueError("is no file")
    return Path(text) if text else None


def _file_name(text: str) -> Path | None:
    return Path(text) if text else None


def _file_to_write(text: str) -> Path | None:
    path = Path(text)
    if text and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError("is a folder, or in one that is not there")
    return path if text else None


HELP_WIDTH = 80  # columns
MODEL, RUN, BUILD, OTHER = "the model", "the run", "the build", "other commands"

OPTIONS = (
    Option("dataset", "data/names.txt", _text_file, "text to learn, UTF-8, one document a line", MODEL, is_path=True),
    Option("n_embd", "16", _whole(1, LIMITS["n_embd"]), "width of the model, divisible by n_head", MODEL),
    Option("n_head", "4", _whole(1, LIMITS["n_head"]), "attention heads", MODEL),
    Option("n_layer", "1", _whole(1, LIMITS["n_layer"]), "layers", MODEL),
    Option("block_size", "16", _whole(1, LIMITS["block_size"]), "longest sequence, in tokens", MODEL),
    Option("seed", "42", _seed, "an integer, as random.seed(N) of Python; hw: the chip draws it", RUN),
    Option("steps", "1000", _whole(1, 10_000_000), "training steps, one document each", RUN),
    Option("lr", "0.01", _real(1e-9, 100.0), "learning rate at the first step, falls to 0", RUN),
    Option("temperature", "0.5", _real(1e-3, 1e3), "of the samples; low is cautious", RUN),
    Option("samples", "20", _whole(1, 1_000_000), "documents to invent after training", RUN),
    Option("log_every", "100", _whole(1, 10_000_000), "print the first, every N-th and the last step", RUN),
    Option("save_every", "0", _whole(0, 10_000_000), "steps between checkpoints; 0: at the end of training alone", RUN),
    Option(
        *("start", "resume", _choice("resume", "names", "fresh")),
        *("of a chip with a checkpoint: resume, names of it, or fresh", RUN),
    ),
    Option("cores", "2", _choice_of_int(1, 2), "cores of the chip that learn, 1 or 2; the bits are the same", RUN),
    Option("console", "no", _yes_or_no, "yes: host and sim take commands after the run", RUN),
    Option("toolchain", "auto", _choice("auto", "esp-idf", "llvm"), "auto, esp-idf or llvm", BUILD),
    Option("kernels", "asm", _choice("asm", "plain"), "of sim and esp32: asm, or plain C; host has its own", BUILD),
    Option(
        *("flash_mode", "dio", _choice("dio", "dout", "qio", "qout")),
        *("dio, dout, qio or qout; the q modes need flash's QE bit set", BUILD),
    ),
    Option(
        *("flash_freq", "40m", _choice("20m", "26m", "40m", "80m")),
        *("20m, 26m, 40m or 80m; 80m wants short wires", BUILD),
    ),
    Option("flash_size", "4", _choice_of_int(1, 2, 4, 8, 16), "megabytes of flash: 1, 2, 4, 8 or 16", BUILD),
    Option("build", "build", build_folder.parse, "folder that takes everything the build makes", BUILD, is_path=True),
    Option("verbose", "0", _switch, "1: show every file and command of the build, not one line a phase", BUILD),
    Option("k", "", str, "test, mutants: what matches this pytest expression", OTHER),
    Option("port", "", str, "flash, monitor, erase: a device, socket:// or rfc2217://HOST:N", OTHER),
    Option("baud", "115200", _whole(9600, 4_000_000), "of the console: in the firmware and for monitor", OTHER),
    Option("flash_baud", "460800", _whole(9600, 4_000_000), "flash, erase: bits per second", OTHER),
    Option(
        *("send", "", _command, "monitor: a command for the chip, sent after the answer to the one before; repeats"),
        *(OTHER, False, True),
    ),
    Option("until", "", _pattern, "monitor: leave when a line matches this regular expression", OTHER),
    Option("timeout", "0", _real(0, 1e9), "monitor: leave after so many seconds in all; 0: never", OTHER),
    Option("log", "", str, "monitor: file to whose end every line is added", OTHER, is_path=True),
    Option("file", "", _file_name, "pull, push: the checkpoint", OTHER, is_path=True),
    Option("resume", "", _file_to_read, "host, sim: go on from this checkpoint", OTHER, is_path=True),
    Option("checkpoint", "", _file_to_write, "host, sim: file that checkpoints go to", OTHER, is_path=True),
    Option("minutes", "1", _real(0, 1e5), "tune: how long the chip may train", OTHER),
    Option("trials", "200", _whole(1, 1_000_000), "tune: models to try, with those tried before", OTHER),
    Option("workers", "0", _whole(0, 1024), "tune: processes that train; 0: one for each core", OTHER),
    Option(
        *("storage", "", str, "tune: database to share, postgresql://NAME@HOST/DATABASE; else a file in build/tune"),
        OTHER,
    ),
    Option("against", "", str, "memory: compare with this memory.json, not the last build's", OTHER, is_path=True),
    Option("board", "", str, "test: port of a board to test as well; it is flashed", OTHER),
)


def parse(
    words: Mapping[str, str] | Sequence[tuple[str, str]], where: Path | None = None, width_is_asked: bool = False
) -> Settings:
    """Checked settings from the `name=value` words of a command line; every option left out has its default.

    words: in order; of equal names the last counts, unless the option takes them all.
    where: the folder that paths in `words` start from, by default the current one, where those of defaults start.
    width_is_asked: n_embd is what the user wants to know, so unless it is given it follows n_head.
    Raises UserError for a name that is no option, a value the option does not accept, or values that do not
    go together.
    """
    pairs = list(words.items()) if isinstance(words, Mapping) else words
    arguments = dict(pairs)
    names = [option.name for option in OPTIONS]
    for name in arguments:
        if name not in names:
            raise UserError(f"unknown option {name}= ; {suggestion(name, names)}")
    values: dict[str, Any] = {}
    for option in OPTIONS:
        if option.repeats:
            values[option.name] = tuple(_parsed(option, text) for name, text in pairs if name == option.name)
            continue
        text = arguments.get(option.name, option.default)
        is_located = option.is_path and text and option.name in arguments and where is not None
        values[option.name] = _parsed(option, text, where if is_located else None)
    if width_is_asked and "n_embd" not in arguments:
        heads = values["n_head"]
        values["n_embd"] = -(-values["n_embd"] // heads) * heads
    settings = Settings(**values)
    check_heads(settings.n_embd, settings.n_head)
    if settings.dataset.resolve().is_relative_to(settings.build.resolve()):
        raise UserError(
            f"dataset={settings.dataset} lies in the build folder, which is for what the build makes; "
            "give a text file from elsewhere"
        )
    return settings


def _parsed(option: Option, text: str, where: Path | None = None) -> Any:
    """The value of an option; a path among them starts from `where`."""
    try:
        return option.parse(_located(text, where) if where else text)
    except ValueError as error:
        raise UserError(f"{option.name}={text} {error}") from None


def _located(text: str, where: Path) -> str:
    """The path that `text` means in a folder, as short as it can be said from the current one."""
    path = os.path.join(where, text)
    inside = Path(os.path.abspath(path)).is_relative_to(Path.cwd())
    return os.path.relpath(path) if inside else os.path.abspath(path)


def check_words(words: Sequence[str], targets: Collection[str]) -> None:
    """Raise UserError for a command line with options as other programs write them: --seed=7, --seed 7, -seed=7.

    words: the command line as typed; targets: the words of it that are targets.
    """
    names = {option.name for option in OPTIONS}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.lstrip("-").replace("-", "_").partition("=")
        if not word.startswith("-") or name not in names:
            continue
        if not equals:
            value = following if following in targets else "VALUE"
        raise UserError(f"{word}: options have no dashes here: {name}={value}")


def check_seed(settings: Settings, programs: set[str]) -> None:
    """Raise UserError when seed=hw is asked of programs that have no noise to draw it from; chip and browser have."""
    elsewhere = sorted(programs - {"esp32", "web", "library"})
    if settings.seed is None and elsewhere:
        raise UserError(f"seed=hw: only the chip draws its seed; give a number for {' and '.join(elsewhere)}")


def help_text() -> str:
    """The options with their defaults under a heading for each group, no line longer than HELP_WIDTH."""
    lines = []
    for group in (MODEL, RUN, BUILD, OTHER):
        lines.append(f"\nOptions for {group}:")
        for option in OPTIONS:
            if option.group == group:
                lines += help_entry(f"{option.name}={option.default}", option.help, 24)
    return "\n".join(lines)


def help_entry(word: str, sentence: str, column: int) -> list[str]:
    """Lines that explain a word, the explanation beginning at a column."""
    first, rest = f"  {word:<{column - 2}} ", " " * (column + 1)
    return wrap(sentence, HELP_WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
