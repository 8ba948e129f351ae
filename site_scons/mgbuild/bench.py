"""`scons bench`: instructions and modelled cycles on the emulated core, time on this machine, beside the references."""

import ctypes
import json
import random
import re
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mgbuild import dataset, profile

STEPS = 1000
TIMEOUT = 300
TRAINER_BYTES = 200_000  # more than struct trainer takes at the default shape
CONSOLE = ("crc32", "app_main", "print_", "board_", "simcall")  # what runs after training, but draws no token


def macs_by_product(lengths: list[int]) -> dict[str, int]:
    """Multiply-accumulates of the dense 16-wide products over documents of these numbers of positions.

    At the default shape: forward through qkv, fc1 and lm_head, backward through lm_head, wo and qkv.
    """
    positions = sum(lengths)
    return {"matmul_nt": positions * 16 * (48 + 64 + 27), "matmul_nn": positions * 16 * (27 + 16 + 48)}


def all_macs(lengths: list[int]) -> int:
    """Multiply-accumulates of training steps, every product counted in full: 3 for each weight of a matrix and
    position, and 6 * 16 for each pair of positions in attention."""
    return sum(3 * 3504 * t + 6 * 16 * t * (t + 1) // 2 for t in lengths)


def positions_of_steps(image: Path) -> list[int]:
    """Positions of the document of each training step at seed 42."""
    documents = dataset.unpack(image.read_bytes())
    order = list(range(len(documents)))
    random.Random(42).shuffle(order)
    return [min(16, len(documents[index]) + 1) for index in order[:STEPS]]


def core(plugin: Path, firmware: Path, image: Path) -> dict[str, Any]:
    """Counts of a whole run on the emulated core, per training step unless named otherwise."""
    result, console = profile.run(plugin, firmware, image, TIMEOUT)
    lengths = positions_of_steps(image)
    instructions = result.training(result.instructions)
    cycles = result.training(result.cycles)
    names = re.findall(r"^sample +\d+: (.*)$", console, re.MULTILINE)
    tokens = sum(min(16, len(name) + 1) for name in names)
    generated = sum(
        count
        for (owner, function), count in result.instructions.items()
        if owner == "generation" and not function.startswith(CONSOLE)
    )
    dense = macs_by_product(lengths)
    return {
        "instructions_per_step": sum(instructions.values()) / STEPS,
        "instructions_per_mac": sum(instructions[name] for name in dense) / sum(dense.values()),
        "instructions_per_mac_by_kernel": {name: instructions[name] / macs for name, macs in dense.items()},
        "instructions_per_token": generated / tokens,
        "cycles_per_step_model": sum(cycles.values()) / STEPS,
        "macs_per_step": all_macs(lengths) / STEPS,
        "phases": {phase: result.phase(phase) / STEPS for phase in profile.TRAINING},
        "kernels": {
            name: {"instructions": count / STEPS, "cycles_model": cycles[name] / STEPS}
            for name, count in instructions.most_common()
        },
    }


def _best(run: Callable[[], int], repeats: int) -> float:
    """Microseconds for one of the steps that `run` takes and counts, the best of several runs."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        steps = run()
        best = min(best, (time.perf_counter() - begin) / steps)
    return best * 1e6


def host(library: Path, image: Path, text: Path) -> dict[str, float]:
    """Time of a step of the native library, of NumPy and of the scalar reference, measured one after the other."""
    from python_ref import autograd, numpy_gpt
    from python_ref.corpus import documents
    from python_ref.model import Shape
    from python_ref.training import Recipe

    native = ctypes.CDLL(str(library.resolve()))
    native.trainer_begin.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32]
    packed = ctypes.create_string_buffer(image.read_bytes())
    opened = ctypes.create_string_buffer(64)
    native.dataset_open(packed, opened)
    trainer = ctypes.create_string_buffer(TRAINER_BYTES)
    step = native.trainer_step
    step.argtypes = [ctypes.c_void_p]
    step.restype = ctypes.c_float
    address = ctypes.addressof(trainer)

    def train() -> int:
        for _ in range(STEPS):
            step(address)
        return STEPS

    best = float("inf")
    for _ in range(20):
        native.trainer_begin(trainer, opened, (ctypes.c_uint32 * 1)(42), 1)
        best = min(best, _best(train, 1))
    names = documents(text)
    shape = Shape(vocab_size=27)
    numpy = _best(lambda: len(numpy_gpt.train(names, shape, Recipe(samples=0)).losses), 2)
    scalar = _best(lambda: len(autograd.train(names, shape, Recipe(samples=0, stop_after=4)).losses), 1)
    return {
        "microseconds_per_step": best,
        "numpy_microseconds_per_step": numpy,
        "scalar_microseconds_per_step": scalar,
        "times_faster_than_numpy": numpy / best,
        "times_faster_than_scalar": scalar / best,
    }


def table(results: dict[str, Any]) -> list[Table]:
    """The results as a reader wants them."""
    asm, portable = results["xtensa"]["asm"], results["xtensa"]["portable"]
    summary = Table(title="one training step, emulated core, mean of 1,000 (seed 42)", title_justify="left")
    for column in ("", "assembly", "portable C"):
        summary.add_column(column, justify="left" if not column else "right")
    for label, key, digits in (
        ("instructions", "instructions_per_step", 0),
        ("cycles, estimated *", "cycles_per_step_model", 0),
        ("instructions per multiply-accumulate, 16-wide", "instructions_per_mac", 3),
        ("instructions per generated token", "instructions_per_token", 0),
    ):
        summary.add_row(label, f"{asm[key]:,.{digits}f}", f"{portable[key]:,.{digits}f}")
    for phase in profile.TRAINING:
        summary.add_row(f"  {phase}", f"{asm['phases'][phase]:,.0f}", f"{portable['phases'][phase]:,.0f}")
    kernels = Table(title="by function, assembly", title_justify="left")
    for column in ("function", "instructions", "cycles, estimated *"):
        kernels.add_column(column, justify="left" if column == "function" else "right")
    for name, counts in asm["kernels"].items():
        if counts["instructions"] >= 100:
            kernels.add_row(name, f"{counts['instructions']:,.0f}", f"{counts['cycles_model']:,.0f}")
    native = Table(title="one training step on this machine", title_justify="left")
    for column in ("", "microseconds", "ratio"):
        native.add_column(column, justify="left" if not column else "right")
    times = results["host"]
    native.add_row("native library", f"{times['microseconds_per_step']:,.2f}", "1")
    for name in ("numpy", "scalar"):
        value = times[f"{name}_microseconds_per_step"]
        native.add_row(f"{name} reference", f"{value:,.0f}", f"{times[f'times_faster_than_{name}']:,.0f}")
    return [summary, kernels, native]


def ceilings(path: Path) -> dict[str, float]:
    """Recorded counts, key by key of results["xtensa"]["asm"], and `tolerance`: how much worse is an error."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def excesses(counts: dict[str, Any], limits: dict[str, float]) -> list[str]:
    """A sentence for each count that exceeds its recorded value by more than the tolerance."""
    tolerance = limits["tolerance"]
    return [
        f"{key} is {counts[key]:,.3f}, more than {100 * tolerance:g} % above the recorded {limit:,.3f}"
        for key, limit in limits.items()
        if key != "tolerance" and counts[key] > limit * (1 + tolerance)
    ]


def main(plugin: Path, asm: Path, portable: Path, library: Path, image: Path, text: Path, output: Path) -> None:
    """Measure everything, print the tables, write the JSON."""
    results = {
        "xtensa": {"asm": core(plugin, asm, image), "portable": core(plugin, portable, image)},
        "host": host(library, image, text),
    }
    output.write_text(json.dumps(results, indent=1) + "\n", encoding="ascii")
    console = Console(width=100)
    for part in table(results):
        console.print(part)
    console.print(
        "* by an in-order model of the LX6: within 0.5 % for float32 and integer loops in internal RAM;\n"
        "  comparisons, conversions, rfr and window spills are not calibrated. Not measured on a chip.",
        highlight=False,
    )
    console.print(f"written to {output}", highlight=False)
