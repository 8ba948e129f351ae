"""The list of faults that `scons mutants` puts in: no entry is stale, and the runner tells what a test notices."""

import subprocess
import sys
from pathlib import Path

import mutants
import pytest
from conftest import ROOT
from mutants import Mutant


def test_every_original_is_in_its_file_once_and_has_a_test_or_an_argument() -> None:
    problems = {str(mutant): mutant.problem(ROOT) for mutant in mutants.read()}
    assert {name: problem for name, problem in problems.items() if problem} == {}


def test_the_list_covers_every_language_and_holds_nothing_twice() -> None:
    entries = mutants.read()
    assert len(entries) >= 60
    assert {Path(mutant.file).suffix for mutant in entries} >= {".c", ".h", ".S", ".py", ".ld"}
    assert len({(mutant.file, mutant.original, mutant.mutated) for mutant in entries}) == len(entries)


def test_every_named_test_exists() -> None:
    """Node ids, each with the parameters it names; pytest knows them all after one collection."""
    named = {mutant.test for mutant in mutants.read() if mutant.test}
    files = sorted({test.split("::")[0] for test in named})
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    collected = done.stdout.splitlines()
    known = {*collected, *(line.split("[")[0] for line in collected)}
    assert named - known == set()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project under git, with a file and its tests."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "double.py").write_text("def double(x):\n    return 2 * x\n\n\nSEEN = 1\n")
    (root / "test_double.py").write_text(
        "import pytest\n"
        "from double import double\n"
        "def test_two():\n    assert double(2) == 4\n"
        "def test_nothing():\n    assert double(0) == 0\n"
        "@pytest.mark.skip\ndef test_skipped():\n    assert double(2) == 4\n"
        "def test_wrong():\n    assert double(2) == 5\n"
    )
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def fault(test: str = "", original: str = "2 * x", mutated: str = "3 * x", **more: str) -> Mutant:
    return Mutant("double.py", original, mutated, "thrice", test and f"test_double.py::{test}", **more)


@pytest.mark.parametrize(
    ("mutant", "word", "reason"),
    [
        (fault("test_two"), "killed", "test_double.py::test_two"),
        (fault("test_two", mutated="__import__('os').abort()"), "killed", "test_double.py::test_two ends by SIGABRT"),
        (fault("test_nothing"), "SURVIVED", "test_double.py::test_nothing"),
        (fault(equivalent="it is never called"), "argued", "it is never called"),
        (fault("test_two", "4 * x"), "STALE", "its original is there 0 times, not once: '4 * x'"),
        (fault("test_two", "x"), "STALE", "its original is there 2 times, not once: 'x'"),
        (fault("test_two", "2 * x", "2 * x"), "STALE", "original and mutated are the same"),
        (fault(), "STALE", "it must have either a test that fails with it, or an argument why none can (equivalent)"),
        (fault("test_two", mutated="2 x"), "STALE", "test_double.py::test_two does not run here"),
        (fault("test_skipped"), "STALE", "test_double.py::test_skipped does not run here"),
        (fault("test_three"), "STALE", "test_double.py::test_three does not run here"),
    ],
)
def test_a_fault_is_judged_by_its_test(mutant: Mutant, word: str, reason: str, checkout: Path) -> None:
    before = (checkout / "double.py").read_text()
    verdict = mutants.judge(mutant, checkout)
    assert verdict.word == word
    assert verdict.reason.startswith(reason)
    assert (checkout / "double.py").read_text() == before


def test_a_test_that_hangs_with_a_fault_has_noticed_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "CPU_SECONDS", 3)
    verdict = mutants.judge(fault("test_two", mutated="all(zero == 0 for zero in iter(int, 1))"), checkout)
    assert (verdict.word, verdict.reason) == ("killed", "test_double.py::test_two ends by SIGKILL")


def test_a_test_that_fails_without_a_fault_tells_nothing(checkout: Path) -> None:
    assert mutants.failing_without([fault("test_two"), fault("test_nothing")], checkout) == []
    failing = "\n".join(mutants.failing_without([fault("test_two"), fault("test_wrong")], checkout))
    assert "FAILED test_double.py::test_wrong" in failing
    assert "test_two" not in failing


@pytest.mark.parametrize(
    ("words", "message"), [("no_such_word", "no entry of mutants.toml matches"), ("(", "is no expression")]
)
def test_words_that_choose_nothing_are_a_mistake(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(["-k", words]) == 2
    assert message in capsys.readouterr().err
