"""What a person types at a board's console: echo, editing, history, typing ahead, noise.

The program is built for this machine with a console that nobody edits but itself, as a chip's.
"""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Programs
from console import TIMEOUT, altered

NOT_INTERACTIVE = "bool board_is_interactive(void) { return false; }"
INTERACTIVE = "bool board_is_interactive(void) { return true; }"

Type = Callable[..., str]


@pytest.fixture(scope="module")
def program(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with such a console, and a run that is short."""
    folder = tmp_path_factory.mktemp("interactive")
    text = (ROOT / "src_c/board/host/board.c").read_text()
    assert NOT_INTERACTIVE in text
    interactive = {"board/host/board.c": text.replace(NOT_INTERACTIVE, INTERACTIVE)}
    return altered(programs, folder, interactive, steps=1, samples=1)


@pytest.fixture(scope="module")
def typed(program: Path) -> Type:
    """Function from keys to what the terminal is sent, from the second prompt on. A key before them stops the run."""

    def run(keys: bytes) -> str:
        return dialogue(program, (b"", b"\r"), (b"> \n> ", keys)).partition("\n> \n")[2]

    return run


def dialogue(program: Path, *steps: tuple[bytes, bytes]) -> str:
    """What the terminal is sent when keys are pressed each time that it has been sent something."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        said, at = b"", 0
        for awaited, keys in steps:
            while awaited not in said[at:]:
                part = os.read(process.stdout.fileno(), 65536)
                assert part, said
                said += part
            at = said.index(awaited, at) + len(awaited)
            process.stdin.write(keys)
            process.stdin.flush()
        process.stdin.close()
        said += process.stdout.read()
        process.wait(TIMEOUT)
    return said.decode("utf-8", "replace")


ANSWER = "temperature=0.5\nok\n> "


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_every_kind_of_line_end_ends_one_line(typed: Type, end: bytes) -> None:
    assert typed(b"temperature" + end + b"temperature" + end) == f"> temperature\n{ANSWER}temperature\n{ANSWER}"


def test_an_empty_line_gives_another_prompt(typed: Type) -> None:
    assert typed(b"\r\r   \r") == "> \n> \n>    \n> "


@pytest.mark.parametrize("key", [b"\x7f", b"\x08"])
def test_backspace_takes_a_character_back_and_stops_at_the_beginning(typed: Type, key: bytes) -> None:
    rubbed = "\b \b"
    assert typed(key + b"temperax" + key + b"ture\r") == f"> temperax{rubbed}ture\n{ANSWER}"
    assert typed("lossé€😀".encode() + 7 * key + b"temperature\r") == f"> lossé€😀{7 * rubbed}temperature\n{ANSWER}"


def test_control_u_takes_the_line_back(typed: Type) -> None:
    rubbed = "\b \b"
    assert typed(b"bogus\x15temperature\r") == f"> bogus{5 * rubbed}temperature\n{ANSWER}"


def test_control_c_leaves_the_line_and_what_was_typed_ahead(program: Path) -> None:
    sent = dialogue(program, (b"", b"\r"), (b"> \n> ", b"bogus"), (b"bogus", b"\x03"), (b"^C\n> ", b"temperature\r"))
    assert sent.endswith(f"> bogus^C\n> temperature\n{ANSWER}")


def test_arrow_keys_bring_lines_back(typed: Type) -> None:
    up, down = b"\x1b[A", b"\x1bOB"
    first, second = "temperature 0.7", "temperature"
    shown = "temperature=0.7\nok\n> "
    erase = {text: "\b \b" * len(text) for text in (first, second)}
    sent = typed(f"{first}\r{second}\r".encode() + up + up + up + down + b"\r")
    recalled = f"{second}{erase[second]}{first}{erase[first]}{first}{erase[first]}{second}"
    assert sent == f"> {first}\nok\n> {second}\n{shown}{recalled}\n{shown}"
    assert typed(up + down + b"temperature\r") == f"> temperature\n{ANSWER}", "there is nothing to bring back"
    assert typed(b"bogus" + down + b"temperature\r").endswith(f"temperature\n{ANSWER}"), (
        "behind the newest: an empty line"
    )


def test_a_few_lines_are_kept_and_the_oldest_forgotten(typed: Type) -> None:
    lines = [f"bogus{'x' * 40}{number}" for number in range(12)]
    sent = typed("".join(f"{line}\r" for line in lines).encode() + 12 * b"\x1b[A" + b"\r")
    (again,) = re.findall(r"called (\w+);", sent)[-1:]
    assert lines.index(again) == 12 - 256 // 48


@pytest.mark.parametrize("key", [b"\x1b[C", b"\x1b[D", b"\x1b[3~", b"\x1bOP", b"\x1b[1;5C", b"\x01", b"\x00", b"\xff"])
def test_keys_without_a_meaning_do_nothing(typed: Type, key: bytes) -> None:
    assert typed(b"temper" + key + b"ature\r") == f"> temperature\n{ANSWER}"


def test_a_tab_is_a_space(typed: Type) -> None:
    assert typed(b"loss\tann9\r") == "> loss ann9\nerror: the model's alphabet has no '9'\n> "


def test_a_line_of_255_bytes_is_taken_and_a_longer_one_refused_whole(typed: Type) -> None:
    assert typed(b"x" * 255 + b"\r") == f"> {'x' * 255}\nerror: no command is called {'x' * 255}; help lists them\n> "
    sent = typed(b"temperature" + b" " * 244 + b"1\rtemperature\r")
    refused = "error: the line is longer than 255 bytes; nothing of it was done\n"
    assert sent == f"> temperature{' ' * 244}\a\n{refused}> temperature\n{ANSWER}"
    assert "\a" * 3 in typed(b"x" * 258), "a bell for each key that is not taken"


def test_a_refused_line_can_be_taken_back(typed: Type) -> None:
    assert typed(b"x" * 300 + b"\x15temperature\r").endswith(f"temperature\n{ANSWER}")


@pytest.mark.parametrize(
    "noise", [b"loss \xc3(", b"\x80", b"\xf5\x80\x80\x80", b"a\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x82"]
)
def test_what_is_not_utf8_is_refused(typed: Type, noise: bytes) -> None:
    assert typed(noise + b"\rtemperature\r").endswith(
        f"\nerror: the line is not UTF-8; nothing of it was done\n> temperature\n{ANSWER}"
    )


def test_what_is_typed_ahead_waits_for_its_turn(typed: Type) -> None:
    sent = typed(b"set steps=20\rtrain\rnames 2\rtemperature\r")
    assert re.fullmatch(
        r"> set steps=20\n# the next.*\nok\n> train\n(?s:.*)\nweights crc32: \w{8}\nok\n"
        rf"> names 2\n.*\n.*\nok\n> temperature\n{re.escape(ANSWER)}",
        sent,
    )


def test_more_than_fits_is_told_and_nothing_of_it_done(program: Path) -> None:
    """While a command runs 256 bytes are kept. The line in which some are missing is not done, those before it are."""
    ahead = b"temperature\r" * 30
    sent = dialogue(program, (b"", b"\r"), (b"> \n> ", b"set steps=10000 log_every=1\rtrain\r"), (b"step    9", ahead))
    done, _, rest = sent.partition("error: more was typed ahead than fits, and some is lost; ")
    assert done.count("temperature=0.5\nok\n") == 255 // len(b"temperature\r")
    assert rest == "send a line at a time, after the prompt\n> "


@pytest.mark.parametrize("command", [b"train", b"names 1000000", b"teach quxi 1000000"])
def test_control_c_stops_what_runs(program: Path, command: bytes) -> None:
    begin = (b"> \n> ", b"set steps=10000000\r" + command + b"\r")
    sent = dialogue(program, (b"", b"\r"), begin, (b"> " + command + b"\n", b"\x03"), (b"ok\n> ", b"temperature\r"))
    stopped = r"# stopped at step \d+ of 10000000; train goes on" if command == b"train" else "# stopped"
    assert re.search(rf"^{stopped}\nok\n> temperature\n{re.escape(ANSWER)}$", sent, re.MULTILINE), sent[-300:]
