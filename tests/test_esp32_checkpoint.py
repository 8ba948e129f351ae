"""Checkpoints in the flash of an emulated ESP32, which is a file: what is there after power has gone, at any moment."""

import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, Programs
from console import talk
from mgbuild.emulated import emulator
from mgbuild.firmware import image
from microgpt import Checkpoint, Learner, Text

TIMEOUT = 60  # seconds; a boot takes one, on a machine that is busy with other tests a few
NAMES = ROOT / "data" / "names.txt"
CHOSEN = {"n_embd": 8, "n_head": 2, "block_size": 8, "steps": 400, "samples": 3, "seed": 11, "save_every": 50}
MODEL = {name: value for name, value in CHOSEN.items() if name not in ("samples", "save_every")}
END = "more names"


class Machine:
    """A chip, whose flash outlives its power."""

    def __init__(self, program: str, firmware: Path, folder: Path) -> None:
        self.flash = folder / "flash.bin"
        self.flash.write_bytes((firmware / "factory.bin").read_bytes())
        self.layout = image.flash_layout(firmware / "firmware.elf")
        self._program = program
        self._console = folder / "console.log"

    @contextmanager
    def power(self) -> Iterator[subprocess.Popen[bytes]]:
        """Power on; off again, whatever the chip does, at the end."""
        self._console.write_bytes(b"")
        words = emulator.command_esp32(self._program, self.flash, f"file:{self._console}")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, **quiet) as machine:
            try:
                yield machine
            finally:
                machine.kill()

    def said(self) -> str:
        return self._console.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")

    def run(self, until: str = END, seconds: float = TIMEOUT) -> str:
        """What it says until it has said that, or for so long; then its power goes."""
        with self.power():
            end = time.monotonic() + seconds
            while until not in self.said() and time.monotonic() < end:
                time.sleep(0.01)
        return self.said()

    def talk(self, *steps: tuple[str, str]) -> str:
        """Type whenever it has said something; returns all that it said."""
        return talk(emulator.command_esp32(self._program, self.flash, "stdio"), steps, TIMEOUT)

    @property
    def slot_bytes(self) -> int:
        return (min(self.layout.capacity, 4 << 20) - self.layout.dataset_end) // 2

    def slots(self) -> list[bytes]:
        """What is in each slot, as long as its header says."""
        flash = self.flash.read_bytes()
        starts = [self.layout.dataset_end + number * self.slot_bytes for number in range(2)]
        lengths = [int.from_bytes(flash[start + 8 : start + 12], "little") for start in starts]
        return [flash[start : start + length] for start, length in zip(starts, lengths, strict=True)]

    def write(self, offset: int, data: bytes) -> None:
        """Change flash; offset: from the start of the checkpoints."""
        with self.flash.open("r+b") as file:
            file.seek(self.layout.dataset_end + offset)
            file.write(data)

    def newest(self) -> int:
        """The slot with the higher sequence number."""
        return max((0, 1), key=lambda slot: Checkpoint(self.slots()[slot])["sequence"])


@pytest.fixture(scope="module")
def firmware(programs: Programs) -> Path:
    return programs.esp32(**CHOSEN)


@pytest.fixture
def machine(firmware: Path, esp32_emulator: str, tmp_path: Path) -> Machine:
    return Machine(esp32_emulator, firmware, tmp_path)


@pytest.fixture(scope="module")
def end_of_run(programs: Programs) -> list[str]:
    """Names and checksum of the undisturbed run on this machine."""
    lines = programs.run_host(**CHOSEN).stdout.splitlines()
    return [line for line in lines if line.startswith(("sample", "weights"))]


def told(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith(("sample", "weights"))]


def test_power_that_comes_back_finds_the_names_without_training(machine: Machine, end_of_run: list[str]) -> None:
    first = machine.run()
    assert told(first) == end_of_run
    assert re.findall(r"^# checkpoint: saved at step (\d+)$", first, re.MULTILINE) == [
        *(str(step) for step in range(50, 400, 50)),
        "400",
    ]
    second = machine.run()
    assert told(second) == end_of_run
    assert "# checkpoint: step 400 of 400" in second
    assert "| loss" not in second


def test_slots_hold_what_this_machine_writes(machine: Machine, programs: Programs, tmp_path: Path) -> None:
    """Byte for byte, but for the sequence number and what follows from it."""
    machine.run()
    subprocess.run([programs.host(**CHOSEN), f"checkpoint={tmp_path / 'here'}"], capture_output=True, check=True)
    here, there = (tmp_path / "here").read_bytes(), machine.slots()[machine.newest()]
    assert here[256:] == there[256:]
    differing = {at // 4 for at in range(256) if here[at] != there[at]}
    assert differing <= {4, 63}, "sequence, checksum of the header"


def test_killed_at_random_moments_it_ends_as_the_undisturbed_run(
    machine: Machine, end_of_run: list[str], request: pytest.FixtureRequest
) -> None:
    """As often as --cuts says, a few unless told: each takes two seconds, for most hit the chip while it saves.

    Nothing but the slots is ever changed."""
    before = machine.flash.read_bytes()[: machine.layout.dataset_end]
    chance = random.Random(1)
    went_on = 0
    for _ in range(request.config.getoption("cuts")):
        said = machine.run(END, seconds=chance.uniform(0.4, 3.0))
        steps = re.findall(r"^# checkpoint: step (\d+) of 400$", said, re.MULTILINE)
        went_on += bool(steps) and steps[0] != "400"
        assert "error" not in said and "Guru" not in said, said
        if "weights crc32" in said:  # it has come to its end: from the beginning
            assert told(said) == end_of_run
            machine.write(0, b"\xff" * (2 * machine.slot_bytes))
    assert went_on > 0
    assert told(machine.run()) == end_of_run
    assert machine.flash.read_bytes()[: machine.layout.dataset_end] == before


def test_what_is_damaged_is_passed_over_for_the_one_before(machine: Machine, end_of_run: list[str]) -> None:
    machine.run()
    newest = machine.newest()
    machine.write(newest * machine.slot_bytes + 5000, b"\0\0")
    said = machine.run()
    assert "# passed over: the checkpoint is damaged" in said
    assert "# checkpoint: step 350 of 400" in said
    assert told(said) == end_of_run
    for slot in range(2):
        machine.write(slot * machine.slot_bytes + 300, b"\0\0\0\0\0\0\0\0")
    said = machine.run()
    assert said.count("# passed over: the checkpoint is damaged") == 2
    assert "step    1 /  400" in said
    assert told(said) == end_of_run


def test_another_text_is_learned_from_the_start_and_the_first_gone_on_with_when_it_is_back(
    machine: Machine, end_of_run: list[str]
) -> None:
    machine.run()
    flash = machine.flash.read_bytes()
    start = machine.layout.dataset
    names = flash[start : machine.layout.dataset_end]
    other = Text.of(["abracadabra", "hocus", "pocus"]).image
    machine.write(start - machine.layout.dataset_end, other)
    said = machine.run("step    1 /")
    assert said.count("# passed over: the checkpoint is of another text") == 2
    machine.write(start - machine.layout.dataset_end, names)
    said = machine.run()
    assert "# checkpoint: step 400 of 400" in said
    assert told(said) == end_of_run


def test_a_firmware_with_other_options_begins_anew_unless_told_to_load(
    machine: Machine, programs: Programs, end_of_run: list[str]
) -> None:
    """So a board that was flashed anew learns what it was flashed for."""
    machine.run()
    kept = machine.flash.read_bytes()[machine.layout.dataset_end :]
    other = {**CHOSEN, "steps": 410}
    machine.flash.write_bytes((programs.esp32(**other) / "factory.bin").read_bytes())
    machine.write(0, kept)
    said = machine.talk(("step    1 /", "load\r"), ("ok\n> ", "train\r"), ("error: training is at its end", ""))
    assert "# passed over: the checkpoint is of a firmware with other options; load goes on from it" in said
    assert "# checkpoint: step 400 of 400" in said


def test_commands_save_load_and_forget(machine: Machine) -> None:
    """Whatever has been learned since is gone with load, and the checkpoint itself with forget."""
    said = machine.talk(
        ("step  200 /", "info\r"),
        ("ok\n> ", "set save_every=0\r"),
        ("ok\n> ", "save\r"),
        ("ok\n> ", "info\r"),
        ("ok\n> ", "train 20\r"),
        ("ok\n> ", "load\r"),
        ("ok\n> ", "info\r"),
        ("ok\n> ", "forget\r"),
        ("ok\n> ", "load\r"),
        ("\n> ", ""),
    )
    assert re.search(
        r"^flash: with a checkpoint every 50 steps it stands training .* for \S+ years$", said, re.MULTILINE
    )
    _, before, after = re.findall(r"^training: .*$", said, re.MULTILINE)
    assert before == after
    assert said.endswith("> load\nerror: there is no checkpoint\n> ")
    said = machine.run("step    1 /")
    assert "# checkpoint" not in said


def test_start_fresh_leaves_checkpoints_alone_and_start_names_trains_no_further(
    machine: Machine, programs: Programs
) -> None:
    machine.run("saved at step 150")
    kept = machine.flash.read_bytes()[machine.layout.dataset_end :]
    machine.flash.write_bytes((programs.esp32(start="fresh", **CHOSEN) / "factory.bin").read_bytes())
    machine.write(0, kept)
    assert "# checkpoint" not in machine.run("step    1 /")
    machine.flash.write_bytes((programs.esp32(start="names", **CHOSEN) / "factory.bin").read_bytes())
    machine.write(0, kept)
    said = machine.talk(("ok\n> ", "info\r"), ("ok\n> ", ""))
    assert re.search(r"step (100|150) of 400", said)
    assert "| loss" not in said


def test_a_run_moves_from_this_machine_to_the_chip_and_back(
    machine: Machine, programs: Programs, end_of_run: list[str], tmp_path: Path
) -> None:
    """In thirds: its file is put into a slot as it is, and taken out again."""
    learner = Learner(Text.open(NAMES), path=programs.library(), **MODEL)
    learner.train(130)
    machine.write(0, learner.checkpoint().data)
    said = machine.talk(("step    1 /", "load\r"), ("ok\n> ", "train 140\r"), ("ok\n> ", "save\r"), ("ok\n> ", ""))
    assert "# checkpoint: step 130 of 400" in said
    Checkpoint(machine.slots()[machine.newest()]).write(tmp_path / "back")
    assert Checkpoint.open(tmp_path / "back")["step"] == 270
    done = subprocess.run([programs.host(**CHOSEN), f"resume={tmp_path / 'back'}"], capture_output=True, text=True)
    assert told(done.stdout)[-1] == end_of_run[-1]
    assert [line for line in told(done.stdout) if line.startswith("sample")][:3] == end_of_run[:3]
