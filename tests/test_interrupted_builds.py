"""Whatever happened to a build folder, a build that ends well leaves there what a build in an empty folder leaves.

Killed builds, full disks, refused firmwares, files that somebody removed, cut or overwrote, in any order. Every check
is a whole build, so these tests take most of a minute.
"""

import hashlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import ROOT, Completed, Programs
from mgbuild.plan import build_folder

SMALL, OTHER, REFUSED = ("steps=3",), ("steps=4", "n_embd=8"), ("steps=3", "n_embd=64")
SEQUENCES, EVENTS = 2, 5
NOTES = ".sconsign"

Files = Mapping[str, str]


def files_of(folder: Path) -> Files:
    """Hash of every file in a folder by its path there, but for what SCons notes."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != NOTES]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def accepted(files: Files) -> Files:
    """Those of the files that belong to the firmware that was accepted last."""
    return {name: content for name, content in files.items() if Path(name).parent == Path("esp32")}


class Folder:
    """A build folder, and what a clean build leaves in it for each set of options."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clean: dict[tuple[str, ...], tuple[int, Files]] = {}
        for options in (SMALL, OTHER, REFUSED):
            shutil.rmtree(path, ignore_errors=True)
            status = self.build(options).returncode
            self.clean[options] = status, files_of(path)

    def build(self, options: tuple[str, ...], **how: object) -> Completed:
        words = [sys.executable, "-m", "SCons", "-Q", f"build={self.path}", *options]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False, **how)

    def check(self, options: tuple[str, ...], history: object) -> None:
        """Build, and compare with the clean build."""
        result = self.build(options)
        status, clean = self.clean[options]
        files = files_of(self.path)
        told = f"after {history}\n{result.stdout}{result.stderr}"
        assert result.returncode == status, told
        different = {name for name in clean if files.get(name) != clean[name]}
        assert not different, told
        further = files.keys() - clean.keys() - ({*accepted(files)} if options is REFUSED else set())
        assert not further, told

    def check_belongs_together(self, history: object) -> None:
        """What is there to flash is of one firmware, whole or in part."""
        there = accepted(files_of(self.path)).items()
        assert any(there <= files.items() for _, files in self.clean.values()), history

    def kill(self, options: tuple[str, ...], lines: int) -> None:
        """Kill SCons, and nothing it has started, when it has said so many lines."""
        words = [sys.executable, "-m", "SCons", "-Q", "verbose=1", f"build={self.path}", *options]
        with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            for _ in range(lines):
                if not process.stdout.readline():
                    break
            process.send_signal(signal.SIGKILL)

    def fill_disk(self, options: tuple[str, ...], limit: int) -> None:
        """A build in which no file can become larger than so many bytes."""
        self.build(options, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("any") / "out")


def damage(path: Path, rng: random.Random) -> str:
    """Do something to a file that a user, a crash or a virus scanner could; returns what."""
    content = path.read_bytes()
    how = rng.choice(["removed", "cut", "emptied", "changed", "lengthened", "changed with its date kept"])
    state = path.stat()
    path.unlink()
    if how == "cut":
        path.write_bytes(content[: rng.randrange(len(content) + 1)])
    elif how == "emptied":
        path.touch()
    elif how == "lengthened":
        path.write_bytes(content + b"x")
    elif how.startswith("changed"):
        place = rng.randrange(len(content)) if content else 0
        path.write_bytes(content[:place] + b"?" + content[place + 1 :])
        if how.endswith("kept"):
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return f"{path.name} {how}"


def test_clean_builds_end_as_expected(folder: Folder) -> None:
    assert [status for status, _ in folder.clean.values()] == [0, 0, 2]
    sets = [accepted(files) for _, files in folder.clean.values()]
    assert sets[0].keys() == sets[1].keys()
    assert {"esp32/firmware.elf", "esp32/firmware.bin", "esp32/factory.bin", "esp32/memory.json"} <= sets[0].keys()
    assert sets[2] == {}
    assert not {name for name in sets[0] if sets[0][name] == sets[1][name]} - {"esp32/dataset.bin", "esp32/stack.json"}


def test_every_product_is_made_again_whatever_was_done_to_it(folder: Folder) -> None:
    folder.check(SMALL, [])
    rng = random.Random(1)
    for name in accepted(folder.clean[SMALL][1]):
        folder.check(SMALL, damage(folder.path / name, rng))
    everything = sorted(folder.clean[SMALL][1].keys() - {build_folder.TAG})
    folder.check(SMALL, [damage(folder.path / name, rng) for name in everything])


def test_a_killed_run_leaves_nothing_of_its_options(programs: Programs) -> None:
    """Killed while it trains, when all is built, and SCons has noted nothing of it."""
    with programs.build_folder() as build:
        words = [sys.executable, "-m", "SCons", "-Q", "host", f"build={build}"]

        def run() -> str:
            return subprocess.run([*words, *SMALL], cwd=ROOT, capture_output=True, text=True, check=True).stdout

        checksum = re.search("weights crc32: .*", run())[0]
        with subprocess.Popen([*words, "seed=7", "steps=1000000"], cwd=ROOT, stdout=subprocess.PIPE) as long:
            while b"loss" not in long.stdout.readline():
                pass
            long.kill()
        assert checksum in run()


def test_a_refused_firmware_changes_nothing_of_the_accepted_one(folder: Folder) -> None:
    folder.check(SMALL, [])
    for _ in range(2):
        folder.check(REFUSED, ["accepted"])
        assert accepted(files_of(folder.path)) == accepted(folder.clean[SMALL][1])
    folder.check(SMALL, ["refused twice"])


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_any_order_of_mishaps(folder: Folder, seed: int) -> None:
    rng = random.Random(seed)
    folder.check(SMALL, [])
    history, intact = [], True
    for _ in range(EVENTS):
        options = rng.choice(list(folder.clean))
        event = rng.choice(["build", "kill", "kill", "full disk", "damage"])
        history.append((event, *options))
        if event == "kill":
            lines = rng.randrange(1, 80)
            history.append(lines)
            folder.kill(options, lines)
        elif event == "full disk":
            limit = rng.choice([100, 10_000, 50_000, 300_000, 1_000_000, 4_000_000])
            history.append(limit)
            folder.fill_disk(options, limit)
        elif event == "damage":
            there = sorted(path for path in folder.path.rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG")
            history += [damage(path, rng) for path in rng.sample(there, 5)]
            intact = False
        if intact:
            folder.check_belongs_together(history)
        if event == "build" or rng.random() < 0.5:
            folder.check(options, history)
            intact = intact or options is not REFUSED
    folder.check(rng.choice([SMALL, OTHER]), history)
