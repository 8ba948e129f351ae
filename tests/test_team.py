"""Two cores at one model: the bits of one, whatever either does in between; and every barrier is there for a reason."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, RUN_TIMEOUT, Programs, run_scons
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mgbuild.emulated import emulator
from mgbuild.firmware.machine_code import MachineCode
from mgbuild.plan import dataset, toolchain
from mgbuild.plan.sources import sources
from microgpt import Learner, Text

NAMES = ["emma", "olivia", "a", "maximilianalexander", "zoe", "", "anna", "otto", "li"]
RACE = 66  # exit status of a program in which the thread sanitizer found one
STEPS, SAMPLES = 12, 3
BARRIERS = 11  # of a step with one layer


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of a few documents, the empty one and one that is longer than any block among them."""
    path = tmp_path_factory.mktemp("text") / "dataset.bin"
    path.write_bytes(dataset.pack_documents(NAMES, "the text"))
    return path


def compile_threads(folder: Path, *flags: str) -> Path:
    """A learner with a thread for each of two members: two_threads.c with the plain kernels."""
    compiler = toolchain.find_host()
    parts = [ROOT / path for path in sources("core", "math", "kernels/plain") if path.suffix == ".c"]
    program = folder / "two_threads"
    words = [*compiler.compile, *flags, f"-I{ROOT / 'src_c'}", "-o", program, ROOT / "tests/two_threads.c", *parts]
    subprocess.run([*words, "-Wl,--wrap=team_meet,--wrap=team_post", "-pthread", "-lm"], check=True, cwd=folder)
    return program


@pytest.fixture(scope="module")
def threads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_threads(tmp_path_factory.mktemp("threads"))


@pytest.fixture(scope="module")
def watched_threads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same under the thread sanitizer, which knows release and acquire and sees what no barrier orders."""
    return compile_threads(tmp_path_factory.mktemp("watched"), "-O1", "-g", "-fsanitize=thread")


def run(program: Path, text: Path, shape: tuple[int, int, int, int], *more: int) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in (program, text, *shape, STEPS, SAMPLES, *more)]
    return subprocess.run(words, capture_output=True, text=True, timeout=RUN_TIMEOUT, check=False)


def alone(library: Path, text: Path, shape: tuple[int, int, int, int]) -> str:
    """Checksum of one core's run of the same."""
    n_embd, n_head, n_layer, block_size = shape
    learner = Learner(
        Text(text.read_bytes()),
        path=library.resolve(),
        n_embd=n_embd,
        n_head=n_head,
        n_layer=n_layer,
        block_size=block_size,
        steps=STEPS,
    )
    learner.train()
    return learner.checksum


SHAPES = [(16, 4, 1, 16), (1, 1, 1, 1), (5, 5, 2, 3), (12, 3, 3, 40), (6, 1, 2, 33), (7, 7, 1, 70)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_member_touches_what_another_uses(
    shape: tuple[int, int, int, int], watched_threads: Path, text: Path, programs: Programs
) -> None:
    found = run(watched_threads, text, shape)
    assert found.returncode == 0, found.stderr[:3000]
    assert found.stdout.split()[-1] == alone(programs.library(), text, shape)
    _, trained, generating = found.stdout.split("reads\n")
    assert generating.startswith(trained + "end\n")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.integers(1, 66))
def test_any_shape_has_the_bits_of_one_core(
    threads: Path, text: Path, programs: Programs, heads: int, head_size: int, layers: int, block: int
) -> None:
    shape = (heads * head_size, heads, layers, block)
    assert run(threads, text, shape).stdout.split()[-1] == alone(programs.library(), text, shape)


@pytest.mark.parametrize("barrier", range(BARRIERS))
def test_a_missing_barrier_is_noticed(barrier: int, watched_threads: Path, text: Path) -> None:
    """Left out, each lets a core read or overwrite what the other is at."""
    whole, without = run(watched_threads, text, SHAPES[0]), run(watched_threads, text, SHAPES[0], barrier)
    assert f"barriers {BARRIERS}\n" in whole.stdout
    assert without.returncode == RACE or without.stdout != whole.stdout


@pytest.mark.parametrize("function", ["team_wait", "team_meet", "team_post"])
def test_each_flag_is_ordered_by_the_processor(function: str, programs: Programs) -> None:
    """On the chip a store waits behind memw for what came before, and what follows waits behind memw for a load."""
    code = MachineCode(programs.esp32() / "firmware.elf")
    (found,) = (candidate for candidate in code.functions.values() if candidate.name == function)
    names = [op.name.removesuffix(".n") for op in sorted(code.reachable(found), key=lambda op: op.address)]
    if function == "team_wait":
        load = names.index("l32i")
        assert "memw" in names[load + 1 : names.index("bltz")]
    else:
        store = len(names) - 1 - names[::-1].index("s32i")
        assert names[store - 1] == "memw"


def lines(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What the program printed of its run."""
    return [line for line in result.stdout.splitlines() if not line.startswith("#")]


def two_cores(programs: Programs, *flags: str, **options: object) -> subprocess.CompletedProcess[str]:
    """A run on the emulated machine with both cores, which run freely."""
    return emulator.capture(*programs.sim(cores=2, **options), RUN_TIMEOUT, *flags, cores=2)


@pytest.mark.parametrize("kernels", ["asm", "plain"])
def test_two_emulated_cores_print_what_one_prints(kernels: str, programs: Programs) -> None:
    steps = 1000 if kernels == "asm" else 50
    options = {"kernels": kernels, "steps": steps}
    assert lines(two_cores(programs, **options)) == lines(programs.run_host(steps=steps))


@pytest.mark.parametrize(
    "options",
    [
        {"n_embd": 5, "n_head": 1, "block_size": 3},
        {"n_embd": 24, "n_head": 3, "n_layer": 2, "block_size": 37},
        {"n_embd": 1, "n_head": 1, "block_size": 1, "seed": 3},
    ],
    ids=str,
)
def test_other_shapes_on_two_emulated_cores(options: dict[str, int], programs: Programs) -> None:
    assert lines(two_cores(programs, steps=60, **options)) == lines(programs.run_host(steps=60, **options))


def test_a_hundred_runs_end_alike(programs: Programs, text: Path) -> None:
    """Two cores meet differently in every run."""
    firmware, _ = programs.sim(cores=2, steps=3, samples=2, console="yes")
    typed = "set seed=42\ntrain\n" * 99
    one, both = (emulator.capture(firmware, text, RUN_TIMEOUT, typed=typed, cores=cores).stdout for cores in (1, 2))
    assert both == one
    checksums = re.findall("weights crc32: [0-9a-f]{8}", both)
    assert len(checksums) == 100 and len(set(checksums)) == 1


# Either core loses time before a barrier, pseudo-randomly: a little, or, one time in sixteen and not where the other
# does, so much that the other waits for long.
LOSE_TIME = """
    static uint32_t bits[MOST_MEMBERS] = {17, 4711};
    uint32_t *random = &bits[worker->index];
    *random = *random * 1664525u + 1013904223u;
    for (uint32_t i = *random >> 26 << ((*random >> 20 & 15) == worker->index ? 8 : 0); i > 0; --i) {
        __asm__ volatile("");
    }
"""
MEETING = "    struct team *team = worker->team;\n"


@pytest.fixture(scope="module")
def changed_team(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Builds the program for the emulated machine from a copy of the project in which core/team.c reads otherwise."""
    folder = tmp_path_factory.mktemp("project")
    copy = shutil.copytree(ROOT, folder / "copy", ignore=shutil.ignore_patterns(".*", "build", "tests"))
    original = (copy / "src_c/core/team.c").read_text()

    def build(before: str, after: str) -> Path:
        assert original.count(before) == 1
        (copy / "src_c/core/team.c").write_text(original.replace(before, after))
        result = run_scons("build=out", "out/sim/firmware.elf", cwd=copy)
        assert result.returncode == 0, result.stderr
        return Path(shutil.copy(copy / "out/sim/firmware.elf", folder / "firmware.elf"))

    return build


def test_cores_that_are_slowed_unevenly_compute_the_same(
    programs: Programs, changed_team: Callable[[str, str], Path]
) -> None:
    slow = changed_team(MEETING, MEETING + LOSE_TIME)
    found = emulator.capture(slow, programs.dataset(), RUN_TIMEOUT, cores=2)
    assert lines(found) == lines(programs.run_host())


def test_cores_that_do_not_wait_for_each_other_compute_something_else(
    programs: Programs, changed_team: Callable[[str, str], Path]
) -> None:
    """So what the runs above agree on is the barriers' doing."""
    hasty = changed_team("    team_wait(&team->arrived[1 - worker->index], turn);\n", "")
    try:
        found = emulator.capture(hasty, programs.dataset(), 30, cores=2)
    except subprocess.TimeoutExpired:
        return  # they lost each other's jobs
    assert lines(found) != lines(programs.run_host())
