"""What a run leaves behind: its console as it came, the same as data, and a remark when training diverged."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT, Programs
from mgbuild import run_result
from mgbuild.errors import UserError
from mgbuild.plan import configure, options

VERSION = configure.Version("v1.2-3-gabcdef0", "2026-02-11")
CONSOLE = """num docs: 32033
vocab size: 27
num params: 4192
step    1 / 1000 | loss 3.3660
step 1000 / 1000 | loss 2.6497
# time per step: 1.2000 ms

--- inference (new, hallucinated names) ---
sample  1: kamon
sample 10: two words: 7
weights crc32: e5240774
"""


def test_the_console_becomes_data() -> None:
    assert run_result.parse(CONSOLE) == {
        "num_docs": 32033,
        "vocab_size": 27,
        "num_params": 4192,
        "losses": [{"step": 1, "loss": 3.366}, {"step": 1000, "loss": 2.6497}],
        "names": ["kamon", "two words: 7"],
        "weights_crc32": "e5240774",
        "remarks": ["time per step: 1.2000 ms"],
    }


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> options.Settings:
    monkeypatch.chdir(ROOT)
    return options.parse({"seed": "7"})


def echo(text: str, status: int = 0) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.stdout.write({text!r}); sys.exit({status})"]


def test_a_run_is_written_with_its_options_and_version(
    settings: options.Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "result.json"
    assert run_result.run(echo(CONSOLE), output, configure.made_from(settings, VERSION)) == "e5240774"
    assert capfd.readouterr().out == CONSOLE
    document = json.loads(output.read_text(encoding="utf-8"))
    assert (document["version"], document["date"]) == ("v1.2-3-gabcdef0", "2026-02-11")
    assert (document["options"]["seed"], document["options"]["dataset"]) == (7, "names.txt")
    assert document["names"] == ["kamon", "two words: 7"]


@pytest.mark.parametrize(
    ("command", "message"),
    [(echo("step 1\n", status=3), "ended with status 3"), (echo("num docs: 3\n"), "printed no checksum")],
)
def test_a_run_that_fails_leaves_no_result(
    settings: options.Settings, tmp_path: Path, command: list[str], message: str
) -> None:
    output = tmp_path / "result.json"
    output.write_text("of an earlier run")
    with pytest.raises(UserError, match=message):
        run_result.run(command, output, configure.made_from(settings, VERSION))
    assert not output.exists()


def test_a_command_that_failed_fails_the_build_but_not_the_run_before_it(
    settings: options.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where nobody has seen it: a slip of the finger at a terminal is no failure."""
    output = tmp_path / "result.json"
    words = echo(CONSOLE + "> error: no command is called hlep; help lists them\n> ", status=1)
    with pytest.raises(UserError, match="^a command was answered with an error$"):
        run_result.run(words, output, configure.made_from(settings, VERSION), typed=True)
    assert json.loads(output.read_text())["weights_crc32"] == "e5240774"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    assert run_result.run(words, output, configure.made_from(settings, VERSION), typed=True) == "e5240774"
    with pytest.raises(UserError, match="ended with status 1"):
        run_result.run(words, output, configure.made_from(settings, VERSION))


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """The program's own status, and that of the build which passes its console on."""
    script = f"from mgbuild import run_result; run_result.follow({echo(CONSOLE)!r}, False)"
    with open("/dev/full", "w") as full:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
        words = [sys.executable, "-c", script]
        result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=env, check=False)
    assert result.returncode != 0
    assert "cannot write what the program prints: No space left on device" in result.stderr


def test_the_program_itself_notices_a_full_disk(programs: Programs) -> None:
    with open("/dev/full", "w") as full:
        words = [programs.host(steps=1, samples=1)]
        result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode != 0
    assert result.stderr == "microgpt: cannot write: No space left on device\n"


@pytest.mark.parametrize("words", [{"lr": 1, "steps": 150}, {"lr": 100, "steps": 2}])
def test_training_that_diverged_says_so(programs: Programs, words: dict[str, float]) -> None:
    """By the mean loss of the last hundred steps, against that of the first step and of guessing."""
    said = run_result.parse(programs.run_host(**words, log_every=1, samples=1).stdout)
    last = [entry["loss"] for entry in said["losses"]][-100:]
    [remark] = said["remarks"]
    mean = float(remark.removeprefix("training diverged to a mean loss of ").removesuffix("; lr= may be too large"))
    assert mean == pytest.approx(math.fsum(last) / len(last), abs=1.5e-4)
    assert mean > 2 * math.log(27)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"lr": 1e-9},  # learns nothing, which is no divergence
        {"steps": 1},
        {"steps": 1, "n_embd": 256},  # wide: a loss above guessing before it learns
        {"lr": 0.1},  # losses of 22 on the way, and fine in the end
    ],
)
def test_training_that_did_not_diverge_does_not(programs: Programs, words: dict[str, float]) -> None:
    assert run_result.parse(programs.run_host(**words).stdout)["remarks"] == []
