"""`scons bench`: instructions and modelled cycles on the emulated core, time on this machine, beside the references."""

import json
import random
import re
import subprocess
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from microgpt import Learner, Text
from rich.console import Console
from rich.table import Table

from mgbuild import node
from mgbuild.emulated import profile, time_model
from mgbuild.errors import UserError
from mgbuild.plan import build_folder, configure, dataset, training_time
from mgbuild.plan.options import Settings
from mgbuild.plan.shape import Shape
from mgbuild.plan.training_time import TextLengths

HEADLINE = ("matmul_nt", "matmul_nn")  # dense forward and input-gradient products
SCALAR_STEPS = 4
WASM_RUNS = 11  # of the library and of the WebAssembly program, in turn
WASM_SCRIPT = Path(__file__).with_name("train.mjs")
WIDTH = 80  # columns of the tables


def positions_of_steps(settings: Settings, image: Path) -> list[int]:
    """Positions of the document of each training step."""
    documents = dataset.unpack(image.read_bytes())
    random.Random(settings.seed).shuffle(documents)
    lengths = [min(settings.block_size, len(document) + 1) for document in documents]
    return [lengths[step % len(lengths)] for step in range(settings.steps)]


def macs_by_kernel(shape: Shape, lengths: Sequence[int]) -> dict[str, int]:
    """Multiply-accumulates of training steps on documents of these numbers of positions, every product counted in full.

    Products that leave out zeros and the halves of a causal product count as their contracts say: all terms of the sum,
    and of the triangle.
    """
    width, layers = shape.n_embd, shape.n_layer
    square, hidden, head = layers * width**2, layers * 4 * width**2, shape.vocab_size * width
    positions = sum(lengths)
    pairs = layers * width * sum(length * (length + 1) // 2 for length in lengths)
    return {
        "matmul_nt": positions * (3 * square + hidden + head),
        "matmul_nt_add": positions * square,
        "matmul_nt_add_sparse": positions * hidden,
        "matmul_nn": positions * (head + square + 3 * square),
        "matmul_nn_masked": positions * hidden,
        "matmul_nn_sparse": positions * hidden,
        "matmul_tn": positions * (head + square + 3 * square),
        "matmul_tn_sparse": positions * hidden,
        "matmul_tn_sparse_w": positions * hidden,
        "causal_nt": 2 * pairs,
        "causal_nn": 2 * pairs,
        "causal_tn": 2 * pairs,
    }


def core(plugin: Path, firmware: Path, image: Path, settings: Settings) -> dict[str, Any]:
    """Counts of a whole run of a firmware built with these settings, for each training step unless named otherwise.

    Instructions per multiply-accumulate include what a product calls.
    """
    macs = macs_by_kernel(configure.model(configure.sizes(settings), image)[0], positions_of_steps(settings, image))
    counts = profile.run(plugin, firmware, image, kernels=macs)
    steps = counts.steps

    def training(values: Any, key: Callable[[profile.Owner], str]) -> Any:
        return profile.total(values, profile.TRAINING, key)

    instructions = training(counts.instructions, lambda owner: owner.function)
    cycles = training(counts.cycles, lambda owner: owner.function)
    phases = training(counts.instructions, lambda owner: owner.phase)
    products = training(counts.instructions, lambda owner: owner.kernel)
    generated = profile.total(counts.instructions, ["generation"], lambda owner: owner.phase).total()
    return {
        "steps": steps,
        "instructions_per_step": instructions.total() / steps,
        "instructions_per_mac": sum(products[name] for name in HEADLINE) / sum(macs[name] for name in HEADLINE),
        "instructions_per_mac_by_kernel": {name: products[name] / count for name, count in macs.items()},
        "instructions_per_token": generated / counts.tokens,
        "cycles_per_step_model": cycles.total() / steps,
        "macs_per_step": sum(macs.values()) / steps,
        "phases": {phase: phases[phase] / steps for phase in profile.TRAINING},
        "kernels": {
            name: {"instructions": count / steps, "cycles_model": cycles[name] / steps}
            for name, count in instructions.most_common()
        },
    }


def two_cores(plugin: Path, firmware: Path, image: Path) -> dict[str, Any]:
    """Counts of a whole run on two cores, without what is spent in waiting for the other."""
    counts = profile.run(plugin, firmware, image, cores=2)
    steps = counts.steps

    def by_core(*phases: str) -> list[int]:
        found = profile.total(counts.instructions, phases, lambda owner: str(owner.core))
        return [found["0"], found["1"]]

    cycles, barriers = profile.cycles_of_pair(profile.stretches(plugin, firmware, image, counts), steps)
    return {
        "steps": steps,
        "instructions_per_step": [count / steps for count in by_core(*profile.TRAINING)],
        "phases": {phase: [count / steps for count in by_core(phase)] for phase in profile.TRAINING},
        "cycles_per_step_model": cycles / steps,
        "barriers_per_step": barriers / steps,
        "instructions_per_token": max(by_core("generation")) / counts.tokens,
    }


def _best(run: Callable[[], int], repeats: int) -> float:
    """Microseconds for one of the steps that `run` takes and counts, the best of several runs."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        steps = run()
        best = min(best, (time.perf_counter() - begin) / steps)
    return best * 1e6


def model(settings: Settings) -> dict[str, Any]:
    """The options that microgpt.Learner takes."""
    names = ("n_embd", "n_head", "n_layer", "block_size", "seed", "steps", "lr")
    return {name: getattr(settings, name) for name in names}


def native(library: Path, image: Path, settings: Settings) -> float:
    """Microseconds for a step of the native library, over a whole training."""
    learner = Learner(Text(image.read_bytes()), path=library.resolve(), **model(settings))
    return _best(lambda: len(learner.train()), 1)


def wasm(module: Path, image: Path) -> float:
    """Microseconds for a step of the WebAssembly program in a new Node, over a whole training, by the program's count.

    What Node takes to compile the module better while it runs is in it, as when somebody opens the
    page and presses Train. Raises UserError where the program does not come to its end.
    """
    words = [str(node.program()), str(WASM_SCRIPT), str(module), str(image)]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace", check=False)
    found = re.search(r"^# time per step: (\S+) ms$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found:
        raise UserError(f"{' '.join(words)} ended with status {done.returncode}: {done.stderr.strip() or 'no time'}")
    return float(found[1]) * 1000


def wasm_beside_native(
    module: Path | None, library: Path, image: Path, settings: Settings, runs: int = WASM_RUNS
) -> dict[str, float]:
    """The WebAssembly program in Node beside the native library, a training of each in turn: medians, and the ratio's.

    A pair is measured within a second, so what else the machine does slows both. Without a module: nothing.
    """
    if module is None:
        return {}
    pairs = [(native(library, image, settings), wasm(module, image)) for _ in range(runs)]
    return {
        "runs": runs,
        "microseconds_per_step": median(slow for _, slow in pairs),
        "native_microseconds_per_step": median(fast for fast, _ in pairs),
        "times_the_native_library": median(slow / fast for fast, slow in pairs),
    }


def host(library: Path, image: Path, text: Path, settings: Settings) -> dict[str, float]:
    """Time of a step of the native library, of NumPy and of the scalar reference, measured one after the other."""
    from python_ref import autograd, numpy_gpt
    from python_ref import model as reference
    from python_ref.corpus import documents
    from python_ref.training import Recipe

    assert settings.seed is not None, "options.check_seed lets only the chip draw it"
    seed = settings.seed
    best = min(native(library, image, settings) for _ in range(20))
    names = documents(text)
    sizes, _ = configure.model(configure.sizes(settings), image)
    shape = reference.Shape(sizes.vocab_size, sizes.n_layer, sizes.n_embd, sizes.n_head, sizes.block_size)

    def learn(train: Any, steps: int) -> Callable[[], int]:
        recipe = Recipe(seed, settings.steps, settings.lr, samples=0, stop_after=min(steps, settings.steps))
        return lambda: len(train(names, shape, recipe).losses)

    numpy = _best(learn(numpy_gpt.train, 1000), 2)
    scalar = _best(learn(autograd.train, SCALAR_STEPS), 1)
    return {
        "microseconds_per_step": best,
        "numpy_microseconds_per_step": numpy,
        "scalar_microseconds_per_step": scalar,
        "times_faster_than_numpy": numpy / best,
        "times_faster_than_scalar": scalar / best,
    }


def table(results: dict[str, Any]) -> list[Table]:
    """The results as a reader wants them."""
    asm, plain = results["xtensa"]["asm"], results["xtensa"]["plain"]
    title = f"one training step, emulated core, mean of {asm['steps']:,} (seed {results['options']['seed']})"
    summary = Table(title=title, title_justify="left")
    for column in ("", "assembly", "plain C"):
        summary.add_column(column, justify="left" if not column else "right")
    for label, key, digits in (
        ("instructions", "instructions_per_step", 0),
        ("cycles, estimated *", "cycles_per_step_model", 0),
        (f"instructions per multiply-accumulate, {' and '.join(HEADLINE)}", "instructions_per_mac", 3),
        ("instructions per generated token", "instructions_per_token", 0),
    ):
        summary.add_row(label, f"{asm[key]:,.{digits}f}", f"{plain[key]:,.{digits}f}")
    for phase in profile.TRAINING:
        summary.add_row(f"  {phase}", f"{asm['phases'][phase]:,.0f}", f"{plain['phases'][phase]:,.0f}")
    kernels = Table(title="by function, assembly; MAC: multiply-accumulate", title_justify="left")
    for column in ("function", "instructions", "cycles, estimated *", "per MAC"):
        kernels.add_column(column, justify="left" if column == "function" else "right")
    per_mac = asm["instructions_per_mac_by_kernel"]
    for name, counts in asm["kernels"].items():
        if counts["instructions"] >= 100:
            ratio = f"{per_mac[name]:.3f}" if name in per_mac else ""
            kernels.add_row(name, f"{counts['instructions']:,.0f}", f"{counts['cycles_model']:,.0f}", ratio)
    pair = Table(title="one training step on two emulated cores, without waiting", title_justify="left")
    for column in ("", "first", "second"):
        pair.add_column(column, justify="left" if not column else "right")
    both = results["xtensa"]["two_cores"]
    pair.add_row("instructions", *(f"{count:,.0f}" for count in both["instructions_per_step"]))
    for phase in profile.TRAINING:
        pair.add_row(f"  {phase}", *(f"{count:,.0f}" for count in both["phases"][phase]))
    pair.add_row(
        f"cycles, estimated *, with {both['barriers_per_step']:.0f} barriers **",
        f"{both['cycles_per_step_model']:,.0f}",
    )
    pair.add_row("instructions per generated token, the busier core", f"{both['instructions_per_token']:,.0f}")
    here = Table(title="one training step on this machine", title_justify="left")
    for column in ("", "microseconds", "ratio"):
        here.add_column(column, justify="left" if not column else "right")
    times = results["host"]
    here.add_row("native library, best run", f"{times['microseconds_per_step']:,.2f}", "1")
    for name in ("numpy", "scalar"):
        value = times[f"{name}_microseconds_per_step"]
        here.add_row(f"{name} reference", f"{value:,.0f}", f"{times[f'times_faster_than_{name}']:,.0f}")
    return [summary, kernels, pair, here, wasm_table(results["wasm"]), _time_table(results["time_model"])]


def wasm_table(times: dict[str, float]) -> Table:
    """What wasm_beside_native() returns, or that it was not measured."""
    shown = Table(title="one training step in WebAssembly", title_justify="left")
    for column in ("", "microseconds", "ratio"):
        shown.add_column(column, justify="left" if not column else "right")
    if not times:
        shown.add_row("not measured: needs clang and wasm-ld", "", "")
        return shown
    runs = f"median of {times['runs']} in turn"
    shown.add_row(f"native library, {runs}", f"{times['native_microseconds_per_step']:,.2f}", "1")
    ratio = f"{times['times_the_native_library']:,.1f}"
    shown.add_row(f"program in Node, {runs}", f"{times['microseconds_per_step']:,.2f}", ratio)
    return shown


def _time_table(found: dict[str, Any]) -> Table:
    """How well src_c/core/training_time.c says what was counted."""
    table = Table(title="a step's cycles by core/training_time.h, against those counted", title_justify="left")
    for column in ("", "models", "median error", "1 in 10", "worst", "mean"):
        table.add_column(column, justify="left" if not column else "right")

    def row(label: str, error: dict[str, float]) -> None:
        numbers = (f"{100 * error[key]:.1f} %" for key in ("median", "tenth", "worst", "mean"))
        table.add_row(label, f"{error['cases']}", *numbers)

    for name, label in (("fitted", "fitted"), ("held_out", "not fitted")):
        for cores in time_model.CORES:
            row(f"{label}, cores={cores}", found[f"{name}_{cores}"])
    row("weights as estimated, short runs", found["short_runs"])
    row(f"runs of > {time_model.LONG:,} steps", found["long_runs"])
    for cores, run in found["run"].items():
        table.add_row(
            f"this run, cores={cores}", "", "", "", "", f"{100 * (run['estimated'] / run['counted'] - 1):.1f} %"
        )
    return table


def time_estimates(library: Path, image: Path, settings: Settings, counted: dict[int, float]) -> dict[str, Any]:
    """What core/training_time.h says of a whole run with these settings, beside its counted cycles, of each step."""
    shape = configure.model(configure.sizes(settings), image)[0]
    lengths = TextLengths.of_image(image.read_bytes())
    effort = training_time.expected_effort(library, shape, lengths, steps=settings.steps, lr=settings.lr)
    return {
        str(cores): {
            "estimated": training_time.cycles(library, shape, lengths, cores=cores, effort=effort),
            "counted": cycles,
        }
        for cores, cycles in counted.items()
    }


def ceilings(path: Path) -> dict[str, Any]:
    """Recorded counts, under the names that bench.json gives them below "xtensa", and `tolerance`, a share of them.

    Under "wasm" a ratio of times, of which the tolerance is no share.
    """
    return tomllib.loads(path.read_text(encoding="utf-8"))


def excesses(counts: dict[str, Any], limits: dict[str, float], tolerance: float) -> list[str]:
    """A sentence for each count that exceeds its recorded value by more than the tolerance."""
    return [
        f"{key} is {counts[key]:,.3f}, more than {100 * tolerance:g} % above the recorded {limit:,.3f}"
        for key, limit in limits.items()
        if counts[key] > limit * (1 + tolerance)
    ]


def main(
    plugin: Path,
    asm: Path,
    plain: Path,
    library: Path,
    image: Path,
    text: Path,
    module: Path | None,
    settings: Settings,
    made_from: dict[str, Any],
    output: Path,
) -> None:
    """Measure everything, print the tables, write the JSON, which says what was measured: configure.with_text().

    module: of the WebAssembly program, or None where no toolchain makes one.
    """
    options = {name: value for name, value in made_from["options"].items() if name != "kernels"}  # both are measured
    results = {
        **made_from,
        "options": options,
        "xtensa": {
            "asm": core(plugin, asm, image, settings),
            "plain": core(plugin, plain, image, settings),
            "two_cores": two_cores(plugin, asm, image),
        },
        "host": host(library, image, text, settings),
        "wasm": wasm_beside_native(module, library, image, settings),
    }
    found = time_model.find(Text.open(time_model.NAMES), plugin, asm, library)
    rewritten = time_model.write(found, library)
    counted = {1: results["xtensa"]["asm"], 2: results["xtensa"]["two_cores"]}
    results["time_model"] = {
        **time_model.results(found, library),
        "run": time_estimates(
            library, image, settings, {cores: counts["cycles_per_step_model"] for cores, counts in counted.items()}
        ),
    }
    build_folder.write(output, (json.dumps(results, indent=1) + "\n").encode("ascii"))
    console = Console(width=WIDTH)
    for part in table(results):
        console.print(part)
    console.print(
        "* by an in-order model of the LX6: within 0.5 % or one cycle for float32 and\n"
        "  integer loops in internal RAM; comparisons, conversions, rfr and window spills\n"
        "  are not calibrated. Not measured on a chip.\n"
        f"** the slower core from barrier to barrier, and {profile.BARRIER_CYCLES} cycles for each barrier, an\n"
        "  assumption. Left out: cores that want the same bank of RAM in the same cycle;\n"
        "  both fetch the kernels from one, and find the model's arrays in another.",
        highlight=False,
    )
    if rewritten:
        console.print(f"{time_model.COEFFICIENTS} is rewritten: it differed by up to {100 * found.changed:.1f} %")
    console.print(f"all of it as data: {output}", highlight=False)
