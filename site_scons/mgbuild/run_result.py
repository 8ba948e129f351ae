"""A run of the program, here or on the emulated core: its console, and what it said as data for other programs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mgbuild.errors import UserError
from mgbuild.plan import build_folder

STEP = re.compile(r"^step +(\d+) / +\d+ \| loss (\S+)$", re.MULTILINE)
NAME = re.compile(r"^sample +\d+: (.*)$", re.MULTILINE)
CHECKSUM = re.compile(r"^weights crc32: ([0-9a-f]{8})$", re.MULTILINE)
COUNT = re.compile(r"^(num docs|vocab size|num params): (\d+)$", re.MULTILINE)
COMMAND_FAILED = 1  # status of a program that has answered a command with an error
REMARK = re.compile(r"^# (.*)$", re.MULTILINE)


def run(
    words: Sequence[str], output: Path, made_from: Mapping[str, Any], typed: bool = False, cwd: Path | None = None
) -> str:
    """Run a program with its console on ours, write what it said to `output` (JSON), and return its checksum.

    made_from: configure.with_text(), of the program. typed: it takes commands from our standard input after its run,
    whose output alone is data. cwd: the folder that it runs in.
    Raises UserError when the program fails or the console cannot be written; then there is no `output`. Also, with
    `output`, when a command failed that nobody typed at a terminal.
    """
    output.unlink(missing_ok=True)
    status, console = follow(words, typed, cwd)
    result = parse(_first_run(console) if typed else console)
    refused = typed and status == COMMAND_FAILED and bool(result["weights_crc32"])
    if (status != 0 and not refused) or not result["weights_crc32"]:
        raise UserError(f"{words[0]} ended with status {status}" if status else f"{words[0]} printed no checksum")
    document = {**made_from, **result}
    build_folder.write(output, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())
    if refused and not sys.stdin.isatty():  # who types has seen it
        raise UserError("a command was answered with an error")
    return result["weights_crc32"]


def follow(words: Sequence[str], typed: bool = False, cwd: Path | None = None) -> tuple[int, str]:
    """Run a program, pass what it writes on as it comes, and return its exit status and all of that.

    On a terminal a live view is below the lines. typed: our input is the program's.
    Raises UserError when ours cannot be written, and ends the program.
    """
    sys.stdout.flush()
    if sys.stdout.isatty() and find_spec("rich"):
        from mgbuild.console import attended  # here, so that building for the host takes no package but SCons

        return attended.follow(words, typed, cwd)
    parts = []
    stdin = None if typed else subprocess.DEVNULL
    with subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, cwd=cwd) as process:
        assert process.stdout
        try:
            while part := os.read(process.stdout.fileno(), 1 << 16):  # not by lines: a prompt ends none
                parts.append(part)
                sys.stdout.buffer.write(part)
                sys.stdout.buffer.flush()
        except OSError as error:
            process.kill()
            raise UserError(f"cannot write what the program prints: {error.strerror}") from None
    return process.returncode, b"".join(parts).decode("utf-8", "replace")


def _first_run(console: str) -> str:
    checksum = CHECKSUM.search(console)
    return console[: checksum.end()] if checksum else console


def parse(console: str) -> dict[str, Any]:
    """What the program said: counts, printed losses by step, names, the checksum ("" if none), and its remarks."""
    counts = {name.replace(" ", "_"): int(number) for name, number in COUNT.findall(console)}
    checksum = CHECKSUM.search(console)
    return {
        **counts,
        "losses": [{"step": int(step), "loss": float(loss)} for step, loss in STEP.findall(console)],
        "names": NAME.findall(console),
        "weights_crc32": checksum.group(1) if checksum else "",
        "remarks": REMARK.findall(console),
    }
