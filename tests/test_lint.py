"""What the linters find: nothing. Python is formatted, linted and typed, the shell script checked."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

SHELLCHECK = Path(sys.executable).parent / "shellcheck"  # sconsw brings it into the environment


@pytest.mark.parametrize(
    "words",
    [
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        [sys.executable, "-m", "mypy"],  # what and how strictly: pyproject.toml
        [str(SHELLCHECK), "sconsw"],
    ],
    ids=["ruff check", "ruff format", "mypy", "shellcheck"],
)
def test_nothing_is_found(words: list[str]) -> None:
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
