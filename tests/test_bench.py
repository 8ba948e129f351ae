"""Speed, in counts that do not depend on the machine: the line that a change may not cross."""

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Programs
from mgbuild import node
from mgbuild.emulated import bench, profile
from mgbuild.errors import UserError
from mgbuild.plan import options
from rich.console import Console
from wasm import module

CEILINGS = bench.ceilings(ROOT / "tests/bench_ceilings.toml")


def measure(programs: Programs, **words: object) -> dict[str, Any]:
    """Counts of the firmware for the emulated core over a whole run."""
    settings = options.parse({name: str(value) for name, value in words.items()})
    return bench.core(programs.profile_plugin(), *programs.sim(**words), settings)


@pytest.fixture(scope="module")
def counts(programs: Programs) -> dict[str, Any]:
    """Counts of the assembly firmware."""
    return measure(programs)


def test_no_count_exceeds_its_ceiling(counts: dict[str, Any]) -> None:
    assert bench.excesses(counts, CEILINGS["asm"], CEILINGS["tolerance"]) == []


def test_no_count_of_the_plain_kernels_exceeds_its_ceiling(programs: Programs) -> None:
    limits = CEILINGS["plain"]
    plain = measure(programs, kernels="plain", steps=limits["steps"])
    assert bench.excesses(plain, limits, CEILINGS["tolerance"]) == []


def test_a_count_over_its_ceiling_is_named() -> None:
    limits = {"instructions_per_step": 1000.0}
    assert bench.excesses({"instructions_per_step": 1019.0}, limits, 0.02) == []
    [sentence] = bench.excesses({"instructions_per_step": 1021.0}, limits, 0.02)
    assert "instructions_per_step" in sentence and "2 %" in sentence


def test_the_promises_hold(counts: dict[str, Any]) -> None:
    assert counts["instructions_per_step"] <= 236_000
    assert counts["instructions_per_token"] <= 9_100
    assert counts["cycles_per_step_model"] <= 257_000
    assert all(counts["instructions_per_mac_by_kernel"][name] <= 1.8 for name in bench.HEADLINE)


@pytest.fixture(scope="module")
def pair(programs: Programs) -> dict[str, Any]:
    """Counts of the assembly firmware on two cores."""
    firmware, text = programs.sim(cores=2)
    return bench.two_cores(programs.profile_plugin(), firmware, text)


def test_no_count_of_two_cores_exceeds_its_ceiling(pair: dict[str, Any]) -> None:
    flat = {**pair, "instructions_per_step": max(pair["instructions_per_step"])}
    assert bench.excesses(flat, CEILINGS["two_cores"], CEILINGS["tolerance"]) == []


def test_two_cores_share_the_work(pair: dict[str, Any], counts: dict[str, Any]) -> None:
    """Neither does more than a few hundredths above its half, and the time of a step says so."""
    assert pair["steps"] == counts["steps"]
    assert counts["instructions_per_step"] < sum(pair["instructions_per_step"]) < 1.05 * counts["instructions_per_step"]
    assert max(pair["instructions_per_step"]) < 1.03 * min(pair["instructions_per_step"])
    assert 0.5 < pair["cycles_per_step_model"] / counts["cycles_per_step_model"] < 0.56
    assert pair["barriers_per_step"] == 11
    for core in (0, 1):
        by_phase = [shares[core] for shares in pair["phases"].values()]
        assert sum(by_phase) == pytest.approx(pair["instructions_per_step"][core], rel=1e-12)
        assert all(count > 0 for count in by_phase)
    assert pair["instructions_per_token"] <= 6_500


def test_stretches_hold_all_that_is_counted(programs: Programs) -> None:
    """A stretch ends where its cores meet; together they are the counted cycles, waiting aside."""
    firmware = programs.sim(cores=2, steps=20, samples=3)
    counts = profile.run(programs.profile_plugin(), *firmware, cores=2)
    found = profile.stretches(programs.profile_plugin(), *firmware, counts)
    jobs = (
        20 + sum(stretch.phase == "generation" for stretch, _ in found) // 9
    )  # a token has a beginning and 8 barriers
    assert len(found) == 20 * 12 + (jobs - 20) * 9
    for core in (0, 1):
        cycles = profile.total(counts.cycles, profile.TRAINING, lambda owner: str(owner.core))[str(core)]
        within = sum(pair[core].cycles[phase] for pair in found for phase in profile.TRAINING)
        assert within == pytest.approx(cycles, rel=0.002)  # what runs where waiting ends is on neither's account


def test_phases_and_kernels_add_up_to_the_step(counts: dict[str, Any]) -> None:
    assert sum(counts["phases"].values()) == pytest.approx(counts["instructions_per_step"], rel=1e-12)
    for whole, part in (("instructions_per_step", "instructions"), ("cycles_per_step_model", "cycles_model")):
        by_function = sum(function[part] for function in counts["kernels"].values())
        assert by_function == pytest.approx(counts[whole], rel=1e-12)


def test_work_is_counted_by_the_shapes_and_documents(counts: dict[str, Any]) -> None:
    assert counts["steps"] == 1000
    assert counts["macs_per_step"] == pytest.approx(78_279, abs=1)


def test_counts_are_the_same_in_every_run(programs: Programs) -> None:
    assert measure(programs, steps=20) == measure(programs, steps=20)


@pytest.mark.parametrize("words", [{"seed": 7, "steps": 20}, {"steps": 20, "n_embd": 8, "n_layer": 2}])
def test_other_settings_are_measured_as_they_are(programs: Programs, words: dict[str, int]) -> None:
    settings = options.parse({name: str(value) for name, value in words.items()})
    lengths = bench.positions_of_steps(settings, programs.dataset(**words))
    positions = sum(lengths)
    width, layers = settings.n_embd, settings.n_layer
    pairs = sum(length * (length + 1) // 2 for length in lengths)
    # 12 width^2 weights in a layer and the head's, each once forward and twice backward; 6 products for a pair
    expected = 3 * positions * (12 * layers * width**2 + 27 * width) + 6 * layers * width * pairs
    counts = measure(programs, **words)
    assert counts["steps"] == 20
    assert counts["macs_per_step"] == pytest.approx(expected / 20)


def test_scopes_hold_what_their_functions_call(programs: Programs) -> None:
    counts = profile.run(
        programs.profile_plugin(), *programs.sim(steps=20, samples=3), kernels=["matmul_nt", "softmax"]
    )
    drawn = [line.split(": ", 1)[1] for line in counts.console.splitlines() if line.startswith("sample ")]
    assert counts.steps == 20
    assert counts.tokens == sum(min(16, len(name) + 1) for name in drawn)
    for owner, count in counts.instructions.items():
        assert count > 0
        if owner.function in ("matmul_nt", "softmax"):
            assert owner.kernel == owner.function
        if owner.function == "crc32":
            assert owner.phase in ("start", "console")
        if owner.function.startswith("adam_update"):
            assert owner.phase == "Adam"
        if owner.function == "random_choice":
            assert owner.phase == "generation"


def test_webassembly_is_not_many_times_slower_than_the_native_library(programs: Programs) -> None:
    """A ratio of times that are taken in turn, so that what else this machine does is in both."""
    program = module(programs, "microgpt.wasm")
    found = bench.wasm_beside_native(program, programs.library(), programs.dataset(), options.parse({}), runs=5)
    assert 1 < found["times_the_native_library"] < CEILINGS["wasm"]["times_the_native_library"]
    quotient = found["microseconds_per_step"] / found["native_microseconds_per_step"]
    assert found["times_the_native_library"] == pytest.approx(quotient, rel=0.3)


def test_what_is_timed_is_the_whole_training(programs: Programs) -> None:
    words = [
        str(node.program()),
        str(bench.WASM_SCRIPT),
        str(module(programs, "microgpt.wasm")),
        str(programs.dataset()),
    ]
    said = subprocess.run(words, capture_output=True, encoding="utf-8", check=True).stdout
    lines = [line for line in said.splitlines() if not line.startswith("# ")]
    assert lines[: lines.index("weights crc32: e5240774") + 1] == programs.run_host().stdout.splitlines()


def test_a_module_that_does_not_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.wasm").write_bytes(b"no module")
    with pytest.raises(UserError, match="(?s)broken.wasm .* ended with status 1: .*CompileError"):
        bench.wasm(tmp_path / "broken.wasm", tmp_path / "broken.wasm")


def test_without_a_module_webassembly_is_left_out_and_the_table_says_so(programs: Programs) -> None:
    assert bench.wasm_beside_native(None, programs.library(), programs.dataset(), options.parse({})) == {}
    console = Console(width=bench.WIDTH, file=io.StringIO(), record=True)
    console.print(bench.wasm_table({}))
    assert "not measured" in console.export_text()


def test_the_tables_fit_80_columns() -> None:
    kernels = {
        name: {"instructions": 123_456.0, "cycles_model": 123_456.0} for name in ("matmul_nt_add_sparse", "crc32")
    }
    firmware = {
        **dict.fromkeys(("instructions_per_step", "cycles_per_step_model"), 2_438_000.0),
        **{"steps": 1000, "instructions_per_mac": 36.8, "instructions_per_token": 491_000.0, "kernels": kernels},
        "phases": dict.fromkeys(profile.TRAINING, 1_000_000.0),
        "instructions_per_mac_by_kernel": {"matmul_nt_add_sparse": 1.734},
    }
    times = {"microseconds_per_step": 5.8}
    for name in ("numpy", "scalar"):
        times |= {f"{name}_microseconds_per_step": 264_000.0, f"times_faster_than_{name}": 45_000.0}
    pair = {"instructions_per_step": [123_456.0, 123_456.0], "barriers_per_step": 11.0}
    pair |= dict.fromkeys(("cycles_per_step_model", "instructions_per_token"), 123_456.0)
    pair["phases"] = dict.fromkeys(profile.TRAINING, [123_456.0, 123_456.0])
    cores = {"asm": firmware, "plain": firmware, "two_cores": pair}
    wasm = dict.fromkeys(("native_microseconds_per_step", "microseconds_per_step"), 264_000.0)
    wasm |= {"runs": 11, "times_the_native_library": 123.4}
    error = {"cases": 10, "median": 0.012, "tenth": 0.034, "worst": 0.234, "mean": -0.001}
    fit = {f"{kind}_{cores}": error for kind in ("fitted", "held_out") for cores in (1, 2)}
    fit |= {"short_runs": error, "long_runs": error}
    fit["run"] = {"1": {"estimated": 261_234.0, "counted": 255_809.0}}
    results = {"options": {"seed": 42}, "xtensa": cores, "host": times, "wasm": wasm, "time_model": fit}
    console = Console(width=bench.WIDTH, file=io.StringIO(), record=True)
    for part in bench.table(results):
        console.print(part)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("matmul_nt_add_sparse" in line and "1.734" in line for line in lines), "nothing is cropped"


def test_listening_to_the_console_costs_less_than_a_thousandth_of_a_step(programs: Programs) -> None:
    def count(console: str) -> tuple[int, int]:
        firmware = programs.sim(steps=100, samples=1, log_every=1000, console=console)
        counts = profile.run(programs.profile_plugin(), *firmware)
        asked = profile.total(counts.instructions, ("console",), lambda owner: owner.phase)["console"]
        return asked, profile.total(counts.instructions, profile.TRAINING, lambda _: "").total()

    (listening, step), (deaf, _) = count("yes"), count("no")
    assert 0 < listening - deaf < step / 1000
