"""sconsw on machines that lack something: what it installs, and what it refuses."""

import fcntl
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Completed

REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "requirements-more.txt")
# What any machine has.
BASE = ("sh", "cat", "cmp", "cp", "dirname", "env", "ls", "rm", "mkdir", "sed", "grep", "readlink", "true", "find")
LLVM = ("clang-22", "llvm-mc-22", "xtensa-lx106-elf-ld")
BROWSER = ("chromium", "chromedriver")
TOOLS = (*LLVM, "wasm-ld-22", "qemu-system-xtensa", "gcc", *BROWSER, "initdb")
XTENSA = ["clang-22", "llvm-22", "binutils-xtensa-lx106"]
FOR_TESTS = [*XTENSA, "qemu-system-misc", "lld-22", "gcc"]
BROWSER_PACKAGES = ["chromium", "chromium-driver"]
PACKAGES = (*XTENSA, "qemu-system-misc", "lld-22", *BROWSER_PACKAGES, "postgresql")

PYTHON = f'exec {sys.executable} "$@"'
# A venv whose pip finds no network, made at once.
OFFLINE = f"""
[ "$1 $2" = "-m venv" ] || {PYTHON}
mkdir "$3/bin"
echo "exit 1" >"$3/bin/python"
exec {sys.executable} -c 'import os, sys; os.chmod(sys.argv[1], 0o755)' "$3/bin/python"
"""

Machine = Callable[..., Completed]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with sconsw and a virtual environment that is up to date, whose python tells what it was asked."""
    folder = tmp_path / "checkout"
    (folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "sconsw", folder)
    for file in REQUIREMENTS:
        shutil.copy(file, folder)
    (folder / ".venv/requirements.txt").write_text("".join(file.read_text() for file in REQUIREMENTS))
    _script(folder / ".venv/bin/python", 'echo "python $*"')
    return folder


@pytest.fixture
def machine(tmp_path: Path, checkout: Path) -> Machine:
    """Function that runs sconsw where only these programs exist; apt-get and sudo log what they are asked.

    apt: the packages that apt knows, or None where there is no apt-get; apt_get: what that does besides; sudo: its exit
    status; python: what python3 is.
    """
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in BASE:
        (programs / name).symlink_to(str(shutil.which(name)))
    log = tmp_path / "log"
    header = tmp_path / "stdio.h"
    header.touch()

    def run(
        *words: str,
        has: tuple[str, ...] = TOOLS,
        apt: tuple[str, ...] | None = PACKAGES,
        user: int = 0,
        sudo: int = 0,
        python: str = PYTHON,
        apt_get: str = "",
        cwd: Path = checkout,
        program: Path = checkout / "sconsw",
        **env: str,
    ) -> Completed:
        for tool in has:
            _script(programs / tool, "")
        _script(programs / "python3", python)
        _script(programs / "id", f"echo {user}")
        if apt is not None:
            _script(programs / "apt-get", f'echo "apt-get $*" >> {log}; {apt_get}')
            _script(programs / "apt-cache", f'case " {" ".join(apt)} " in *" $2 "*) ;; *) exit 100 ;; esac')
        _script(programs / "sudo", f'echo "sudo $*" >> {log}; [ {sudo} = 0 ] || exit {sudo}; exec "$@"')
        places = {"SCONSW_LIBC_HEADER": header, "SCONSW_POSTGRESQL": tmp_path, "SCONSW_POSTGRESQL_SETTINGS": tmp_path}
        places |= {"PATH": programs, "HOME": tmp_path}
        environment = {**{name: str(path) for name, path in places.items()}, **env}
        result = subprocess.run(
            [program, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        result.stderr += log.read_text() if log.exists() else ""
        return result

    return run


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_a_complete_machine_only_runs_scons(machine: Machine) -> None:
    result = machine("sim", "seed=7")
    assert (result.returncode, result.stdout) == (0, "python -m SCons -Q sim seed=7\n")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["-h"], []),
        (["-c"], []),
        (["monitor", "port=/dev/ttyUSB0"], []),
        (["erase", "vectors"], []),
        (["flash-dataset"], ["gcc"]),
        (["help"], []),
        (["host"], ["gcc"]),
        ([], [*XTENSA, "gcc"]),
        (["n_layer=2"], [*XTENSA, "gcc"]),
        (["flash", "monitor"], [*XTENSA, "gcc"]),
        (["sim"], [*XTENSA, "qemu-system-misc"]),
        (["bench"], [*XTENSA, "qemu-system-misc", "gcc", "lld-22"]),
        (["pictures"], [*XTENSA, "lld-22", "gcc", "chromium", "chromium-driver"]),
        (["web"], [*XTENSA, "lld-22", "gcc"]),
        (["build/web"], [*XTENSA, "lld-22", "gcc"]),
        (["tune", "minutes=2"], [*XTENSA, "gcc"]),
        (["test"], [*FOR_TESTS, *BROWSER_PACKAGES, "postgresql"]),
        (["--version", "test"], [*FOR_TESTS, *BROWSER_PACKAGES, "postgresql"]),
    ],
)
def test_a_target_installs_what_it_needs_and_nothing_else(
    machine: Machine, words: list[str], needed: list[str]
) -> None:
    result = machine(*words, has=(), apt=(*PACKAGES, "gcc"))
    assert (result.returncode, result.stdout) == (0, " ".join(["python -m SCons -Q", *words]) + "\n")
    installed = re.findall(r"^apt-get install .*--no-install-recommends (.*)$", result.stderr, re.MULTILINE)
    assert " ".join(installed).split() == needed


@pytest.mark.parametrize("apt", [PACKAGES[:-3], None], ids=["not in the lists", "no apt-get"])
def test_without_a_browser_or_a_database_the_tests_run_and_it_is_said(
    machine: Machine, apt: tuple[str, ...] | None
) -> None:
    result = machine("test", has=(*LLVM, "wasm-ld-22", "qemu-system-xtensa", "gcc"), apt=apt)
    assert (result.returncode, result.stdout) == (0, "python -m SCons -Q test\n")
    for packages in ("chromium chromium-driver", "postgresql"):
        said = f"goes on without {packages}: the tests and measurements that need them will be SKIPPED"
        assert said in result.stderr


def test_without_webassembly_bench_measures_the_rest(machine: Machine) -> None:
    """ESP-IDF's compiler does for the chip; clang for WebAssembly is not in the lists of every system."""
    result = machine("bench", has=("xtensa-esp32-elf-gcc", "qemu-system-xtensa", "gcc"), apt=())
    assert (result.returncode, result.stdout) == (0, "python -m SCons -Q bench\n")
    assert "goes on without clang-22 lld-22: " in result.stderr


def test_a_database_comes_without_a_server_that_runs_from_then_on(machine: Machine, tmp_path: Path) -> None:
    """Debian's package creates and starts one, unless a file in its settings says otherwise while it is installed."""
    setting = tmp_path / "createcluster.d/sconsw.conf"
    tell = f'case "$*" in install*postgresql) cat {setting} >> {tmp_path}/log ;; esac'
    result = machine("test", has=tuple(tool for tool in TOOLS if tool != "initdb"), apt_get=tell)
    assert "create_main_cluster = false" in result.stderr
    assert not setting.exists()


def test_only_missing_packages_are_installed(machine: Machine) -> None:
    result = machine("sim", has=("llvm-mc-22", "xtensa-lx106-elf-ld", "gcc"))
    assert result.returncode == 0
    assert "apt-get update" in result.stderr
    assert result.stderr.rstrip().endswith("--no-install-recommends clang-22 qemu-system-misc")
    assert "sudo" not in result.stderr


def test_c_headers_are_installed_where_only_the_compiler_is(machine: Machine, tmp_path: Path) -> None:
    result = machine("host", apt=("libc6-dev",), SCONSW_LIBC_HEADER=str(tmp_path / "missing.h"))
    assert result.stderr.rstrip().endswith("--no-install-recommends libc6-dev")


def test_an_llvm_that_is_new_enough_does_under_its_plain_name(machine: Machine, tmp_path: Path) -> None:
    for version, status in (("23.1.0", 0), ("19.1.7", 1)):
        for name in ("clang", "llvm-mc"):
            _script(tmp_path / "bin" / name, f'echo "Debian {name} version {version}"')
        result = machine(has=("xtensa-lx106-elf-ld",), apt=None)
        assert result.returncode == status, version
        assert ("clang-22 llvm-22" in result.stderr) == bool(status)


def test_another_user_installs_through_sudo(machine: Machine) -> None:
    result = machine("sim", has=LLVM, user=1000)
    assert "sudo apt-get update" in result.stderr
    assert "install -q -y --no-install-recommends qemu-system-misc" in result.stderr


def test_a_refused_sudo_is_not_taken_for_a_lack_of_network(machine: Machine) -> None:
    result = machine("sim", has=LLVM, user=1000, sudo=1)
    assert result.returncode != 0
    assert "sudo is refused; ask someone who may to run: apt-get update && apt-get install" in result.stderr
    assert "network" not in result.stderr


def test_packages_that_the_lists_lack_are_named_with_the_archive_that_has_them(machine: Machine) -> None:
    result = machine("sim", has=(), apt=("binutils-xtensa-lx106", "qemu-system-misc"))
    assert result.returncode != 0
    assert "have no clang-22 llvm-22; Ubuntu 26.04 has" in result.stderr
    assert "security archive" in result.stderr
    assert "apt-get install" not in result.stderr


def test_a_system_without_apt_is_told_what_to_install(machine: Machine) -> None:
    result = machine("sim", has=("gcc",), apt=None)
    assert result.returncode != 0
    assert "please install what Debian calls:" in result.stderr
    for package in (*XTENSA, "qemu-system-misc"):
        assert package in result.stderr


def test_the_system_is_left_alone_when_asked(machine: Machine) -> None:
    result = machine("host", has=(), SCONSW_SYSTEM="skip")
    assert (result.returncode, result.stdout, result.stderr) == (0, "python -m SCons -Q host\n", "")


def test_esp_idf_replaces_llvm(machine: Machine) -> None:
    assert machine("sim", "memory", has=("xtensa-esp32-elf-gcc", "qemu-system-xtensa", "gcc")).stderr == ""
    assert "--no-install-recommends clang-22 llvm-22" in machine("toolchain=llvm", has=()).stderr


def test_a_failed_installation_says_so_and_starts_again(machine: Machine, checkout: Path) -> None:
    """Without network: pip fails, no stamp is written, and the next run tries again."""
    (checkout / "requirements.txt").write_text("no-such-package-of-ours==1.0\n")
    for _ in range(2):
        result = machine("sim", python=OFFLINE)
        assert result.returncode != 0
        assert "could not install requirements.txt" in result.stderr
        assert (checkout / ".venv/requirements.txt").read_text() == "", "unfinished"


def test_what_builds_is_enough_to_build_and_the_rest_is_added(machine: Machine, checkout: Path) -> None:
    stamp = checkout / ".venv/requirements.txt"
    shutil.copy(REQUIREMENTS[0], stamp)
    assert machine("sim", "flash").stderr == ""
    result = machine("sim", "bench")
    assert f"sconsw: adding Python packages to {checkout}/.venv" in result.stderr
    assert f"pip install --quiet --disable-pip-version-check -r {checkout}/requirements-more.txt" in result.stderr
    assert result.stdout == "python -m SCons -Q sim bench\n"
    assert stamp.read_text() == "".join(file.read_text() for file in REQUIREMENTS)
    assert machine("test", "sim").stderr == ""


def test_a_damaged_environment_is_made_anew(machine: Machine, checkout: Path) -> None:
    for name in ("requirements.txt", "requirements-more.txt", ".venv/requirements.txt"):
        (checkout / name).write_text("")
    _script(checkout / ".venv/bin/python", "exit 1")  # as where a package of it was deleted
    result = machine("host")
    assert "installing Python packages into" in result.stderr
    assert (checkout / ".venv/bin/python").resolve() == Path(sys.executable).resolve()


def test_an_environment_of_others_is_spared(machine: Machine, checkout: Path) -> None:
    (checkout / ".venv/requirements.txt").unlink()
    (checkout / ".venv/mine").write_text("years of work")
    result = machine("host")
    assert result.returncode == 1
    assert f"{checkout}/.venv is not of sconsw's making" in result.stderr
    assert (checkout / ".venv/mine").exists()


def test_one_installs_at_a_time(machine: Machine, checkout: Path) -> None:
    requirements = checkout / "requirements.txt"
    requirements.write_text("no-such-package-of-ours==1.0\n")
    with requirements.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def finish() -> None:
            waits = re.compile(rf"-> FLOCK .*:{requirements.stat().st_ino} ")
            while not waits.search(Path("/proc/locks").read_text()):
                time.sleep(0.05)
            shutil.copy(requirements, checkout / ".venv")
            file.close()

        thread = threading.Thread(target=finish, daemon=True)
        thread.start()
        result = machine("host")
    assert (result.returncode, result.stdout) == (0, "python -m SCons -Q host\n"), "the other has installed everything"
    assert result.stderr == "sconsw: another sconsw installs here; waiting for it\n"


def test_an_environment_that_cannot_be_written_is_said(machine: Machine, checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    (checkout / ".venv").write_text("in the way, also for root\n")
    result = machine("host")
    assert result.returncode != 0
    assert f"cannot write to {checkout}/.venv; make it yours" in result.stderr


def test_a_path_that_python_refuses_is_said(machine: Machine, checkout: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a:b"
    odd.mkdir()
    shutil.copy(checkout / "sconsw", odd)
    for file in REQUIREMENTS:
        shutil.copy(file, odd)
    result = machine("host", cwd=odd, program=odd / "sconsw")
    assert result.returncode != 0
    assert '":"' in result.stderr and "move" in result.stderr


def test_it_stands_beside_its_own_checkout_however_it_is_called(
    machine: Machine, checkout: Path, tmp_path: Path
) -> None:
    """Through a link, from a folder with a virtual environment of its own: that is left alone."""
    other = tmp_path / "other project"
    (other / ".venv").mkdir(parents=True)
    (other / ".venv/theirs").touch()
    (other / "sconsw").symlink_to(checkout / "sconsw")
    result = machine("sim", "dataset=mine.txt", cwd=other, program=other / "sconsw")
    assert result.stdout == f"python -m SCons -Q -C {checkout} sim dataset=mine.txt\n"
    assert (other / ".venv/theirs").exists()
