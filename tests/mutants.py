"""Puts the faults of mutants.toml into copies of the project, one at a time, and checks that a test notices each.

`scons mutants` runs it; k=EXPR takes the entries whose file, test and reason hold these words. Before the faults, their
tests must pass without any. The exit status is 1 when a fault survives, or an entry no longer says anything.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from _pytest.mark.expression import Expression

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests/mutants.toml"
AT_ONCE = 2
CPU_SECONDS = 300  # of the processor for one test, which takes far less: a fault may make it hang, and is noticed then

PYTEST = (sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider")
PASSED, FAILED = 0, 1  # pytest's exit statuses; others tell of tests that are not there, or mistakes in the call


@dataclass(frozen=True)
class Mutant:
    """One fault: in `file`, `original`, which is there once, becomes `mutated`."""

    file: str
    original: str
    mutated: str
    why: str  # what goes wrong with it
    test: str = ""  # node id for pytest, of a test that fails with it
    equivalent: str = ""  # or the argument why none can

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"

    def matches(self, expression: Expression) -> bool:
        """Whether words of this entry make an expression of pytest's -k true."""
        words = f"{self.file} {self.test} {self.why}".lower()
        return expression.evaluate(lambda name, **_: name.lower() in words)

    def problem(self, root: Path) -> str:
        """Why this entry says nothing, in a sentence; or nothing."""
        if bool(self.test) == bool(self.equivalent):
            return "it must have either a test that fails with it, or an argument why none can (equivalent)"
        if self.original == self.mutated:
            return "original and mutated are the same"
        path = root / self.file
        if not path.is_file():
            return "there is no such file"
        times = path.read_text(encoding="utf-8").count(self.original)
        return "" if times == 1 else f"its original is there {times} times, not once: {self.original!r}"


@dataclass(frozen=True)
class Verdict:
    """What became of a fault, in a word, and how that was found."""

    word: str  # killed, argued, SURVIVED or STALE
    reason: str

    @property
    def good(self) -> bool:
        return self.word in ("killed", "argued")


def read(path: Path = LIST) -> list[Mutant]:
    """The faults of a list, in its order."""
    return [Mutant(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]]


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy of the files that git knows or would add, in a folder of their own for as long as it is used."""
    words = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\0")
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "project"
        for name in names:
            if name and (root / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, copy / name)
        yield copy


def run_tests(copy: Path, tests: Sequence[str], *flags: str) -> tuple[int, list[str]]:
    """pytest's exit status, below 0 when a signal ended it, and the lines it printed.

    Its temporary files go beside the copy, which are removed together.
    """
    limited = ["sh", "-c", f'ulimit -t {CPU_SECONDS * len(tests)}; exec "$@"', "sh"]  # no child may take more either
    done = subprocess.run(
        [*limited, *PYTEST, *flags, f"--basetemp={copy.parent / 'pytest'}", *tests],
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def judge(mutant: Mutant, root: Path = ROOT) -> Verdict:
    """Put a fault into a copy of the project and run its test there."""
    problem = mutant.problem(root)
    if problem:
        return Verdict("STALE", problem)
    if mutant.equivalent:
        return Verdict("argued", mutant.equivalent)
    with copied(root) as copy:
        path = copy / mutant.file
        path.write_text(path.read_text(encoding="utf-8").replace(mutant.original, mutant.mutated), encoding="utf-8")
        status, lines = run_tests(copy, [mutant.test], "-x")
    if status < 0:
        return Verdict("killed", f"{mutant.test} ends by {signal.Signals(-status).name}")
    if status == FAILED:
        return Verdict("killed", mutant.test)
    if status == PASSED and any(" passed" in line for line in lines[-1:]):
        return Verdict("SURVIVED", mutant.test)
    return Verdict("STALE", f"{mutant.test} does not run here: {' '.join(lines[-2:])}")


def failing_without(mutants: Sequence[Mutant], root: Path = ROOT) -> list[str]:
    """What pytest says of tests that fail without any fault, and so could not tell one."""
    tests = sorted({mutant.test for mutant in mutants if mutant.test and not mutant.problem(root)})
    if not tests:
        return []
    with copied(root) as copy:
        status, lines = run_tests(copy, tests)
    return [] if status == PASSED else lines or [f"exit status {status}"]


def main(words: Sequence[str]) -> int:
    """Judge the faults that are asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__, allow_abbrev=False)
    parser.add_argument("-k", default="", help="only entries with these words, as in pytest's -k")
    chosen = parser.parse_args(words).k
    try:
        expression = Expression.compile(chosen or "mutant or not mutant")
    except SyntaxError as error:
        print(f"error: k={chosen} is no expression: {error}", file=sys.stderr)
        return 2
    mutants = [mutant for mutant in read() if mutant.matches(expression)]
    if not mutants:
        print(f"error: no entry of {LIST.name} matches k={chosen}", file=sys.stderr)
        return 2
    failing = failing_without(mutants)
    if failing:
        print("error: tests fail without any fault:", *failing, sep="\n", file=sys.stderr)
        return 1
    verdicts = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, verdict in zip(mutants, pool.map(judge, mutants), strict=True):
            print(f"{verdict.word:<9}{mutant}\n         {verdict.reason}", flush=True)
            verdicts.append(verdict)
    counts = {
        word: sum(verdict.word == word for verdict in verdicts) for word in ("killed", "argued", "SURVIVED", "STALE")
    }
    print(f"{len(verdicts)} faults: {', '.join(f'{count} {word}' for word, count in counts.items())}")
    return 0 if all(verdict.good for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
