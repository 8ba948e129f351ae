"""Compilers that are broken, or made for another machine: a sentence that names them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Link, run_scons
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.plan import toolchain


def program(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("name", "find"),
    [
        ("gcc", toolchain.find_host),
        ("xtensa-esp32-elf-gcc", toolchain.find_xtensa),
        ("xtensa-esp-elf-gcc", toolchain.find_xtensa),
    ],
)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#!/bin/sh\necho no licence >&2; exit 1\n", "gcc does not work: .* it ends with status 1: no licence"),
        (b"#!/bin/sh\nexit 3\n", "it ends with status 3"),
        (b"#!/bin/sh\n", "it prints no version"),
        (b"\x7fELF for another kind of machine", "gcc does not run on this machine: Exec format error"),
        (b"#!/nonexistent\n", "gcc does not run on this machine: No such file"),
    ],
)
def test_a_compiler_that_does_not_work_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    find: Callable[[], object],
    content: bytes,
    message: str,
) -> None:
    monkeypatch.delenv("CC", raising=False)
    path = program(tmp_path / name, content)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=message) as caught:
        find()
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize("name", ["muluh", "mulsh"])
def test_a_program_that_the_emulated_core_cannot_run_is_refused(link: Link, name: str) -> None:
    emulator.check_instructions(link(f="entry a1, 32; mull a2, a3, a4; retw"))
    code = {"muluh": "0x40, 0x23, 0xa2", "mulsh": "0x40, 0x23, 0xb2"}[name]
    with pytest.raises(UserError, match=f"emulated core: other has {name} at 0x"):
        emulator.check_instructions(link(f="entry a1, 32; retw", other=f"entry a1, 32; .byte {code}; retw"))


def test_the_build_refuses_it_too(tmp_path: Path) -> None:
    """The instruction is given as bytes, for LLVM is told that the core has none."""
    work = tmp_path / "work"
    shutil.copytree(ROOT, work, ignore=shutil.ignore_patterns(".*", "build", "tests"))
    source = work / "src_c/kernels/xtensa/elementwise.S"
    begin = "FUNCTION(relu)\n    entry   a1, 32\n"
    assert begin in source.read_text()
    source.write_text(source.read_text().replace(begin, f"{begin}    .byte   0x40, 0x23, 0xA2\n"))
    result = run_scons("build/sim/firmware.elf", cwd=work)
    assert result.returncode != 0
    assert "relu has muluh at 0x" in result.stderr
    assert run_scons("build/esp32/candidate/firmware-draft.elf", cwd=work).returncode == 0, "the chip has it"


@pytest.mark.parametrize(("answer", "version"), [("12.2.0", "12.2.0"), ("15", "15"), ("cc (Some 7) 9.3.0", "9.3.0")])
def test_the_version_is_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, version: str
) -> None:
    monkeypatch.setenv("CC", program(tmp_path / "cc", f"#!/bin/sh\necho '{answer}'\n".encode()))
    assert toolchain.find_host().version == version


@pytest.mark.parametrize(
    ("target", "name"), [("host", "gcc"), ("esp32", "xtensa-esp32-elf-gcc"), ("sim", "xtensa-esp32-elf-gcc")]
)
def test_the_build_ends_with_that_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, name: str
) -> None:
    path = program(tmp_path / name, b"\x7fELF")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    result = run_scons(target, f"build={tmp_path / 'out'}", cwd=ROOT)
    assert result.returncode == 2
    assert result.stderr == f"error: {path} does not run on this machine: Exec format error\n"


def test_a_compiler_that_fails_without_a_word_is_named_with_what_it_was_to_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = b"#!/bin/sh\n[ $1 = -dumpfullversion ] && echo 14.2.0\n"
    path = program(tmp_path / "xtensa-esp32-elf-gcc", silent)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    result = run_scons("sim", "verbose=0", f"build={tmp_path / 'out'}", cwd=ROOT)
    assert result.returncode == 2
    assert f"error: {path} ended with status 1, making {tmp_path / 'out'}/sim/obj/" in result.stderr
    assert "with verbose=1 the build shows the whole command" in result.stderr
