"""A session at the program's console: what is typed, and each answer."""

import codecs
import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT, Programs, with_settings
from mgbuild.plan import toolchain
from mgbuild.plan.sources import HOST_KERNELS, sources

TIMEOUT = 300  # seconds, for the slowest of it on a machine that is busy with other tests


@dataclass(frozen=True)
class Answer:
    """What a command printed, line by line, without the line that ends it: ok, or error and why."""

    lines: list[str]
    end: str

    @property
    def ok(self) -> bool:
        return self.end == "ok"

    @property
    def error(self) -> str:
        """What is wrong, or "" where nothing is."""
        return "" if self.ok else self.end.removeprefix("error: ")


def answers(console: str) -> tuple[str, list[Answer]]:
    """What the program printed before the first prompt, and the answer behind each but the last, where input ends."""
    before, *parts = re.split(r"^> ", console, flags=re.MULTILINE)
    if not parts:
        return before, []
    assert parts[-1] == "", f"no prompt at the end, but {parts[-1]!r}"
    found = []
    for part in parts[:-1]:
        *lines, end, rest = part.split("\n")
        assert rest == ""
        assert end == "ok" or end.startswith("error: "), part
        found.append(Answer(lines, end))
    return before, found


def session(program: Path, *commands: str) -> list[Answer]:
    """Run a program that takes commands after its run; returns an answer for each."""
    typed = "".join(f"{command}\n" for command in commands)
    done = subprocess.run(
        [program], input=typed.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False
    )
    _, found = answers(done.stdout.decode())
    assert len(found) == len(commands)
    assert done.returncode == (0 if all(answer.ok for answer in found) else 1)
    return found


def talk(words: Sequence[str], steps: Sequence[tuple[str, str]], timeout: float) -> str:
    """Start an emulated chip, its console a pipe, and type at it: the keys of a step once it has said its text.

    Returns all that it said, with plain line feeds; fails where it ends, or has not said all after `timeout` seconds.
    """
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # a character may come in two parts
    said, at = "", 0
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as machine:
        assert machine.stdin and machine.stdout
        watch = threading.Timer(timeout, machine.kill)
        watch.start()
        try:
            for awaited, keys in steps:
                while awaited not in said[at:]:
                    part = os.read(machine.stdout.fileno(), 65536)
                    assert part, f"no {awaited!r} in {said[at:]!r}"
                    said += decode(part).replace("\r", "")
                at = said.index(awaited, at) + len(awaited)
                machine.stdin.write(keys.encode())
        finally:
            watch.cancel()
            machine.kill()
    return said


def altered(programs: Programs, folder: Path, changed: Mapping[str, str], *flags: str, **chosen: object) -> Path:
    """The program for this machine with other texts of some files of src_c, made in a folder, with these options."""
    paths = [
        ROOT / path
        for path in sources("core", "math", *HOST_KERNELS, "text", "app", "app/check", "board/host", "board/no_flash")
    ]
    for name, text in changed.items():
        other = folder / Path(name).name
        other.write_text(text)
        paths[paths.index(ROOT / "src_c" / name)] = other
    generated = programs.product("generated/version.h").parent.parent
    embedded = [f'-DSETTINGS_FILE="{programs.settings()}"', f'-DDATASET_FILE="{programs.dataset()}"']
    words = [*toolchain.find_host().compile, "-O1", f"-I{ROOT / 'src_c'}", f"-I{generated}", *embedded, *flags]
    program = folder / "program"
    subprocess.run([*words, "-o", program, *paths, "-lm"], check=True)
    program.write_bytes(with_settings(program.read_bytes(), **chosen))
    return program
