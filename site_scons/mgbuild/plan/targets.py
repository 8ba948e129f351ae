"""What can be asked of the build, one line each, and which programs a request involves."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mgbuild.errors import UserError, suggestion
from mgbuild.plan.options import OPTIONS, help_entry


@dataclass(frozen=True)
class Target:
    """Something that can be asked of the build."""

    help: str
    programs: tuple[str, ...] = ()  # targets whose programs are declared for it, and "library", which asks the plan
    last: bool = False  # runs after everything else that is asked for, while others may work in the build folder


# The folders in the build folder, and the targets whose programs they are for.
FOLDERS = {
    **{name: name for name in ("esp32", "sim", "host", "bench", "web", "tune")},
    "wasm": "web",
}
TARGETS = {
    "esp32": Target(
        "firmware for the ESP32: ELF, flashable images and the memory report (the default)", ("esp32", "library")
    ),
    "sim": Target("build and run the same program on the emulated LX6-class core", ("sim",)),
    "host": Target(
        "build and run the same program on this machine; the shared library that tests use", ("host", "library")
    ),
    "web": Target(
        "the page that trains the same program in a browser; builds it, and serves it on this machine",
        ("web", "esp32", "library"),
        last=True,
    ),
    "pictures": Target(
        "make the pictures of README: the page in Chromium, losses, the chip's memory", ("web", "esp32", "library")
    ),
    "test": Target("everything pytest and the linters check; k=EXPR narrows it", last=True),
    "mutants": Target("which test notices which fault of tests/mutants.toml; k=EXPR narrows it", last=True),
    "memory": Target("the memory report of the ESP32 firmware, as text, as a page and as JSON", ("esp32", "library")),
    "fit": Target(
        "the largest model that fits the chip with these options, and other numbers of layers", ("esp32", "library")
    ),
    "tune": Target(
        "search the best model that the chip can train in minutes=, trials= of them; options that are given stay",
        ("esp32", "library"),
        last=True,
    ),
    "bench": Target("instructions per training step on the emulated core, time on this machine", ("bench", "library")),
    "flash": Target(
        "write firmware and data set to a board; `scons flash monitor` shows its console then", ("esp32", "library")
    ),
    "flash-dataset": Target("write the data set alone, where the firmware on the board can read it", ("library",)),
    "push": Target("write the checkpoint file= to a board, which goes on from it", ("library",)),
    "pull": Target("a checkpoint of what a board is doing, to file=; it goes on meanwhile", last=True),
    "monitor": Target("show a board's console; send=, until=, timeout= and log= serve scripts", last=True),
    "erase": Target("erase a board's flash"),
    "vectors": Target("rewrite tests/vectors from python_ref", last=True),
}
# What fingers type that know other tools.
HABITS = {
    "help": "`scons -h` lists targets and options",
    "clean": "`scons -c` removes what the build has made, `scons -c TARGET` one part of it",
    "all": "`scons` alone builds the firmware and its images",
    "run": "`scons sim` runs the program on the emulated core, `scons host` on this machine",
    "upload": "`scons flash` writes to a board",
    "size": "`scons memory` says what takes how much",
}


def check(requested: Sequence[str], build: Path) -> None:
    """Raise UserError unless each requested name is a target, or a path in the build folder."""
    for name in requested:
        if name in (option.name for option in OPTIONS):
            raise UserError(f"{name} is an option and takes a value: {name}=VALUE")
        if name in HABITS:
            raise UserError(f"{name} is no target here; {HABITS[name]}")
        if name not in TARGETS and not _inside(name, build):
            raise UserError(f"unknown target {name}; {suggestion(name, TARGETS)}")


def programs(requested: Sequence[str], build: Path) -> set[str]:
    """What a request involves, by target or by a path in the build folder: some of FOLDERS' targets, and "library"."""
    involved = {program for name in requested if name in TARGETS for program in TARGETS[name].programs}
    paths = [name for name in requested if name not in TARGETS]
    for name, target in FOLDERS.items():
        folder = build / name
        if any(_inside(path, folder) or _inside(folder, path) for path in paths):
            involved.update(TARGETS[target].programs)
    return involved


def product(name: str, build: Path) -> list[str]:
    """What `scons -c NAME` removes: the folders of a target's programs, a path itself, nothing for a mere command."""
    if name in TARGETS:
        return [str(build / folder) for folder, target in FOLDERS.items() if target == name]
    return [name]


def help_text() -> str:
    """The targets, each with what it does."""
    lines = ["Targets:"]
    for name, target in TARGETS.items():
        lines += help_entry(name, target.help, 16)
    return "\n".join(lines)


def _inside(path: str | Path, folder: str | Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))
