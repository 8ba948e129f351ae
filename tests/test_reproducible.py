"""The same sources give the same bytes, wherever and whenever they are built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from mgbuild.errors import UserError
from mgbuild.plan import configure, toolchain

SOURCES = ("SConstruct", "site_scons", "src_c", "linker", "data")
PRODUCTS = ("firmware.bin", "dataset.bin", "factory.bin")


def copy_and_build(folder: Path, compiler: str) -> dict[str, bytes]:
    """What is flashed, built from a copy of the sources in a folder."""
    folder.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    words = [sys.executable, "-m", "SCons", "-Q", f"toolchain={compiler}"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": ""})
    return {name: (folder / "build/esp32" / name).read_bytes() for name in PRODUCTS}


@pytest.mark.parametrize("compiler", ["llvm", "esp-idf"])
def test_two_builds_in_different_folders_are_identical(compiler: str, tmp_path: Path) -> None:
    """Two whole builds: some seconds."""
    try:
        toolchain.find_xtensa(compiler)
    except UserError as error:
        pytest.skip(str(error))
    one = copy_and_build(tmp_path / "a", compiler)
    other = copy_and_build(tmp_path / "somewhere/else, with a longer name", compiler)
    assert one.keys() == other.keys()
    for name, content in one.items():
        assert content == other[name], f"{name} differs"
    assert b"# microgpt-lx6 unknown" in one["firmware.bin"], "a copy without its repository has no version"


def test_the_version_is_what_git_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert configure.version(tmp_path) == configure.Version("unknown", "")

    def git(*words: str) -> None:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        environment = {**os.environ, "GIT_COMMITTER_DATE": "2026-02-11T23:30:00-0500"}
        words = ("git", *identity, *words)
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, env=environment)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "first")
    git("tag", "v1.0")
    assert configure.version(tmp_path) == configure.Version("v1.0", "2026-02-12")
    (tmp_path / "file").write_text("two")
    assert configure.version(tmp_path) == configure.Version("v1.0-dirty", "2026-02-12")
    inside = tmp_path / "copy"
    inside.mkdir()
    assert configure.version(inside) == configure.Version("unknown", "")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert configure.version(tmp_path) == configure.Version("v1.0-dirty", "2023-11-14")
    assert configure.version(inside) == configure.Version("unknown", "2023-11-14")
    for wrong in ("yesterday", "1" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(UserError, match=f"SOURCE_DATE_EPOCH={wrong} must be seconds since 1970"):
            configure.version(tmp_path)
