"""A program of this machine on a terminal: the live view of the monitor, and its prompt if the user wants to ask."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from stand_in_user import Terminal

# A console as the program's: a run, then a prompt; it answers with what it was sent, and ends with its input.
PROGRAM = """
import os, sys, time
def say(text): os.write(1, text.encode())
for step in (1, 100, 200): say(f"step {step:4d} / 1000 | loss {3.3 - step / 1000:.4f}\\n")
time.sleep(0.3)  # some frames
if not sys.argv[1:]: sys.exit(7)
say("weights crc32: e5240774\\n> ")
while typed := os.read(0, 100): say(f"{typed}\\nok\\n> ")
say("weights crc32: 00000000\\n")
"""

Start = Callable[..., Terminal]


@pytest.fixture
def start() -> Iterator[Start]:
    """Function that follows the program on a terminal, with its input the user's or none."""
    users = []

    def run(typed: bool) -> Terminal:
        words = [sys.executable, "-c", PROGRAM, *(["asked"] if typed else [])]
        users.append(
            Terminal(
                f"import sys\nfrom mgbuild import run_result\nstatus, said = run_result.follow({words!r}, {typed})\n"
                "print('it said', repr(said[-31:]))\nsys.exit(status)"
            )
        )
        return users[-1]

    yield run
    for user in users:
        user.close()


def test_the_live_view_is_that_of_the_monitor(start: Start) -> None:
    user = start(typed=False)
    user.see("loss, mean of 3: 3.1997")
    user.see("step  200 / 1000 | loss 3.1000\\n'")
    assert user.ended() == 7


def test_the_program_is_asked_at_its_prompt(start: Start) -> None:
    """The terminal echoes and edits; Ctrl-C goes to the program, Ctrl-D ends its input."""
    user = start(typed=True)
    user.see("> ")
    user.press("loss emmb\x7fa\r")
    user.see("b'loss emma\\n'\r\nok\r\n> ")
    user.press("\x03")
    user.see("b'\\x03'\r\nok\r\n> ")
    user.press("\x04")
    user.see("ok\\n> weights crc32: 00000000\\n")
    assert user.ended() == 0


def test_without_a_terminal_input_goes_to_the_program_when_it_is_asked(tmp_path: Path) -> None:
    """A script's; unasked it has none."""
    code = "from mgbuild import run_result; run_result.follow(['cat'], {typed})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    for typed, said in ((True, b"names 3\n"), (False, b"")):
        words = [sys.executable, "-c", code.format(typed=typed)]
        done = subprocess.run(words, input=b"names 3\n", env=environment, capture_output=True, check=True)
        assert done.stdout == said
