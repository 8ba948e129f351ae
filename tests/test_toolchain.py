"""Compilers that are broken, or made for another machine: a sentence that names them."""

from pathlib import Path

import pytest
from conftest import ROOT, run_scons
from mgbuild.errors import UserError
from mgbuild.plan import toolchain


def program(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#!/bin/sh\necho no licence >&2; exit 1\n", "cc does not work: .* it ends with status 1: no licence"),
        (b"#!/bin/sh\nexit 3\n", "it ends with status 3"),
        (b"#!/bin/sh\n", "it prints no version"),
        (b"\x7fELF for another kind of machine", "cc does not run on this machine: Exec format error"),
        (b"#!/nonexistent\n", "cc does not run on this machine: No such file"),
    ],
)
def test_a_compiler_that_does_not_work_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.setenv("CC", program(tmp_path / "cc", content))
    with pytest.raises(UserError, match=message):
        toolchain.find_host()


@pytest.mark.parametrize(("answer", "version"), [("12.2.0", "12.2.0"), ("15", "15"), ("cc (Some 7) 9.3.0", "9.3.0")])
def test_the_version_is_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, version: str
) -> None:
    monkeypatch.setenv("CC", program(tmp_path / "cc", f"#!/bin/sh\necho '{answer}'\n".encode()))
    assert toolchain.find_host().version == version


def test_the_build_ends_with_that_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", program(tmp_path / "cc", b"\x7fELF"))
    result = run_scons("host", f"build={tmp_path / 'out'}", cwd=ROOT)
    assert result.returncode == 2
    assert result.stderr == f"error: {tmp_path / 'cc'} does not run on this machine: Exec format error\n"
