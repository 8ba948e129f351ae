"""The program with a second core: how many work, and what it says when one does not."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import Programs
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.firmware.elf import addresses
from mgbuild.firmware.machine_code import MachineCode

CHOSEN = {"steps": 20, "samples": 3, "console": "yes"}
NO_ANSWER = "# the second core did not answer; going on with one"


@pytest.fixture(scope="module", autouse=True)
def _emulator() -> None:
    try:
        emulator.find()
    except UserError as error:
        pytest.skip(str(error))


def informed(
    programs: Programs, *flags: str, asked: int, emulated: int
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """A run of the program and then `info`: with this value of the option, on a machine of so many cores."""
    firmware, text = programs.sim(cores=asked, **CHOSEN)
    done = emulator.capture(firmware, text, 60, *flags, typed="info\n", cores=emulated)
    return done, done.stdout.splitlines()


@pytest.mark.parametrize(("asked", "emulated", "working"), [(1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 2, 2)])
def test_as_many_cores_work_as_are_asked_for_and_there(
    asked: int, emulated: int, working: int, programs: Programs
) -> None:
    done, lines = informed(programs, asked=asked, emulated=emulated)
    assert f"cores: {working}" in lines
    assert NO_ANSWER not in lines, "a machine with one core is not one whose second is broken"
    assert programs.run_host(**CHOSEN).stdout.splitlines()[:10] == lines[:10]


def test_a_second_core_that_does_not_answer_is_told_and_left_out(programs: Programs) -> None:
    """The machine says that it has two, and has one."""
    firmware, _ = programs.sim(cores=2, **CHOSEN)
    says_two = f"loader,addr={addresses(firmware)[emulator.CORES_SYMBOL]:#x},data=2,data-len=4"
    done, lines = informed(programs, "-device", says_two, asked=2, emulated=1)
    assert lines.count(NO_ANSWER) == 1
    assert "cores: 1" in lines
    assert programs.run_host(**CHOSEN).stdout.splitlines()[-1] in lines, "its checksum"


@pytest.mark.parametrize(("asked", "usable", "useful"), [(1, 1, 1), (1, 8, 1), (2, 1, 1), (2, 2, 2), (2, 8, 2)])
def test_each_emulated_core_has_a_cpu(
    asked: int, usable: int, useful: int, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that share one would wait for each other a time slice at a time."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(usable)))
    assert emulator.useful_cores(programs.sim(cores=asked)[0]) == useful


def test_what_has_no_table_of_options_gets_one_core(tmp_path: Path) -> None:
    (tmp_path / "program.elf").write_bytes(b"\x7fELF and no more")
    assert emulator.useful_cores(tmp_path / "program.elf") == 1


def test_the_watchdog_knows_where_a_core_waits_for_the_other(programs: Programs) -> None:
    """linker/esp32.ld puts that function, and nothing else, between two marks."""
    elf = programs.esp32() / "firmware.elf"
    found = addresses(elf)
    marked = range(found["team_wait_start"], found["team_wait_end"])
    inside = {function.name for function in MachineCode(elf).functions.values() if function.start in marked}
    assert inside == {"team_wait"}
