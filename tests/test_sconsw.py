"""sconsw on machines that lack something: what it installs, what it refuses, and that it costs nothing later."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Completed

BASE = ("sh", "cat", "cmp", "cp", "dirname", "env", "ls", "rm", "mkdir", "sed", "grep")  # what any machine has
TOOLS = ("clang-22", "llvm-mc-22", "xtensa-lx106-elf-ld", "qemu-system-xtensa", "gcc")

Machine = Callable[..., Completed]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with sconsw and a virtual environment that is up to date, whose python tells what it was asked."""
    folder = tmp_path / "checkout"
    (folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "sconsw", folder)
    for place in (folder, folder / ".venv"):
        shutil.copy(ROOT / "requirements.txt", place)
    _script(folder / ".venv/bin/python", 'echo "python $*"')
    return folder


@pytest.fixture
def machine(tmp_path: Path, checkout: Path) -> Machine:
    """Function that runs sconsw where only these programs exist; apt-get and sudo log what they are asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in BASE:
        (programs / name).symlink_to(str(shutil.which(name)))
    log = tmp_path / "log"

    def run(
        *words: str, has: tuple[str, ...] = TOOLS, system: str = "debian 12", user: int = 0, **env: str
    ) -> Completed:
        name, version = system.split()
        release = tmp_path / "os-release"
        release.write_text(f"ID={name}\nVERSION_ID={version}\n")
        for tool in has:
            _script(programs / tool, "")
        _script(programs / "python3", f'exec {sys.executable} "$@"')
        _script(programs / "id", f"echo {user}")
        _script(programs / "apt-get", f'echo "apt-get $*" >> {log}')
        _script(programs / "sudo", f'echo "sudo $*" >> {log}; exec "$@"')
        environment = {"PATH": str(programs), "HOME": str(tmp_path), "SCONSW_OS_RELEASE": str(release), **env}
        result = subprocess.run(
            [checkout / "sconsw", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        result.stderr += log.read_text() if log.exists() else ""
        return result

    return run


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_a_complete_machine_only_runs_scons(machine: Machine) -> None:
    result = machine("sim", "seed=7")
    assert (result.returncode, result.stdout) == (0, "python -m SCons sim seed=7\n")
    assert result.stderr == ""


def test_it_adds_less_than_a_second(machine: Machine) -> None:
    machine()
    begin = time.perf_counter()
    machine()
    assert time.perf_counter() - begin < 1


def test_only_missing_packages_are_installed(machine: Machine) -> None:
    result = machine("sim", has=("llvm-mc-22", "xtensa-lx106-elf-ld", "gcc"))
    assert result.returncode == 0
    assert "apt-get update" in result.stderr
    assert result.stderr.rstrip().endswith("--no-install-recommends clang-22 qemu-system-misc")
    assert "sudo" not in result.stderr


def test_another_user_installs_through_sudo(machine: Machine) -> None:
    result = machine(has=TOOLS[:3] + ("gcc",), user=1000)
    assert "sudo apt-get update" in result.stderr
    assert "install -q -y --no-install-recommends qemu-system-misc" in result.stderr


def test_another_system_is_told_what_to_install(machine: Machine) -> None:
    result = machine(has=("gcc",), system="fedora 43")
    assert result.returncode != 0
    assert "not Debian 12" in result.stderr
    for package in ("clang-22", "llvm-22", "binutils-xtensa-lx106", "qemu-system-misc"):
        assert package in result.stderr
    assert "apt-get update" not in result.stderr


def test_the_system_is_left_alone_when_asked(machine: Machine) -> None:
    result = machine("host", has=("gcc",), SCONSW_SYSTEM="skip")
    assert (result.returncode, result.stdout, result.stderr) == (0, "python -m SCons host\n", "")


def test_esp_idf_replaces_llvm(machine: Machine) -> None:
    assert machine(has=("xtensa-esp32-elf-gcc", "qemu-system-xtensa", "gcc")).stderr == ""


def test_a_failed_installation_says_so_and_starts_again(machine: Machine, checkout: Path) -> None:
    """Without network: pip fails, no stamp is written, and the next run tries again."""
    (checkout / "requirements.txt").write_text("no-such-package-of-ours==1.0\n")
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    for _ in range(2):
        result = machine("sim", **offline)
        assert result.returncode != 0
        assert "could not install requirements.txt" in result.stderr
        assert not (checkout / ".venv/requirements.txt").exists()
