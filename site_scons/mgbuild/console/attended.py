"""A program of this machine on a terminal: its lines with the live view below, and what is typed on its input."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from mgbuild.console.keys import STOP
from mgbuild.console.lines import PROMPT
from mgbuild.console.views import Display, LiveView

POLL_SECONDS = 0.02
READ_BYTES = 65536


def follow(words: Sequence[str], typed: bool, cwd: Path | None = None) -> tuple[int, str]:
    """Run a program until it ends; returns its exit status and what it wrote.

    typed: it gets the lines of our input, which a terminal echoes and edits, and their end; Ctrl-C is a key among them.
    """
    stdin = subprocess.PIPE if typed else subprocess.DEVNULL
    view = LiveView()
    with subprocess.Popen(
        words, stdin=stdin, stdout=subprocess.PIPE, bufsize=0, start_new_session=typed, cwd=cwd
    ) as process:
        try:
            with _interrupts_typed(process) if typed else nullcontext():
                said = _follow(process, view)
        finally:
            view.close()
            process.kill()  # if it has not ended
    return process.returncode, said.decode("utf-8", "replace")


def _follow(process: subprocess.Popen[bytes], view: LiveView) -> bytes:
    """Show what the program says until it ends; returns all of it."""
    assert process.stdout
    display, said = Display(view), b""
    inputs = [process.stdout, *([sys.stdin] if process.stdin else [])]
    while True:
        ready = select.select(inputs, [], [], POLL_SECONDS)[0]
        if sys.stdin in ready and not _pass_on(process):
            inputs.remove(sys.stdin)
        data = os.read(process.stdout.fileno(), READ_BYTES) if process.stdout in ready else b""
        for line in display.lines.feed(data):
            display.show(line, time.monotonic())
        display.refresh(time.monotonic())
        said += data
        if process.stdout in ready and not data:
            break
    rest = display.lines.rest()
    if rest and rest != PROMPT:
        display.show(rest, time.monotonic())
    process.wait()
    return said


def _pass_on(process: subprocess.Popen[bytes]) -> bool:
    """Give the program what has been typed; returns whether more may come."""
    typed = os.read(sys.stdin.fileno(), READ_BYTES)
    if typed:
        _type(process, typed)
    elif process.stdin:
        process.stdin.close()
    return typed != b""


def _type(process: subprocess.Popen[bytes], typed: bytes) -> None:
    if process.stdin and not process.stdin.closed:
        with suppress(BrokenPipeError):  # it is ending; its output will say why
            process.stdin.write(typed)


@contextmanager
def _interrupts_typed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let Ctrl-C stop what the program does, not us."""
    before = signal.signal(signal.SIGINT, lambda number, frame: _type(process, STOP))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
