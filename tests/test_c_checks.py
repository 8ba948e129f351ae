"""What compilers can say of the C. When they read it: no warning of GCC's analyzer or clang's. While it runs: nothing
undefined, no read or write outside of an object. And another compiler makes the same bits of it.
"""

import os
import platform
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import hypothesis
import pytest
from conftest import ROOT, Programs, with_settings
from hypothesis import given
from hypothesis import strategies as st
from mgbuild.errors import UserError
from mgbuild.plan import dataset, toolchain
from mgbuild.plan.sources import HOST_KERNELS, sources

# Parts of src_c for any machine, and those with instructions of the chip, which a compiler for this one can only read.
NATIVE = (
    "core",
    "math",
    "kernels/host",
    "kernels/plain",
    "text",
    "app",
    "app/check",
    "library",
    "board/host",
    "board/no_flash",
)
HOSTED = ("library", "board/host")  # of these, what takes an operating system
CHIP = ("board/xtensa", "board/sim", "board/esp32", "kernel_runner")
PAGE = ("board/wasm", "math/wasm")  # as WebAssembly
PLUGIN = Path("site_scons/mgbuild/emulated/profile_plugin.c")

ANALYZER = "-fanalyzer -Wconversion -Wshadow -Wcast-qual -Wmissing-prototypes -Wstrict-prototypes -Wundef".split()
# Clang's -Weverything but what contradicts this language, or speaks of layout and style rather than of faults.
CLANG_ONLY_STYLE = """
    declaration-after-statement implicit-void-ptr-cast padded pre-c11-compat unsafe-buffer-usage bad-function-cast
    float-equal global-constructors missing-variable-declarations reserved-macro-identifier switch-default
""".split()
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -g -O0".split()


def c_files(*parts: str) -> list[Path]:
    return [path for path in sources(*parts) if path.suffix == ".c"]


@pytest.fixture(scope="module")
def gcc() -> list[str]:
    """Command of this machine's GCC, as the build calls it, and where headers are but the generated ones."""
    path = shutil.which("gcc")
    if path is None:
        pytest.skip("no gcc on PATH, whose analyzer and sanitizers these tests use")
    return [*toolchain.Host(path, "").compile, f"-I{ROOT / 'src_c'}"]


@pytest.fixture(scope="module")
def clang() -> str:
    """Path of a clang for the ESP32's cores and for this machine."""
    try:
        return toolchain.find_xtensa("llvm").clang
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def generated(programs: Programs) -> str:
    """The flag for the headers of a build with default options."""
    headers = [programs.product(f"generated/{name}.h") for name in ("run_config", "version")]
    return f"-I{headers[0].parent.parent}"


def run(words: Sequence[str | Path], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command that must succeed and say nothing on stderr."""
    done = subprocess.run(
        words, cwd=cwd, env=os.environ | environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0 and not done.stderr, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return done


def absolute(paths: Sequence[Path]) -> list[Path]:
    return [ROOT / path for path in paths]


def embedding(text: Path, settings: Path) -> list[str]:
    """Flags for the files that a program of this machine takes into itself."""
    return [f'-DDATASET_FILE="{text}"', f'-DSETTINGS_FILE="{settings}"']


def test_every_c_file_is_checked() -> None:
    checked = {ROOT / path for path in c_files(*NATIVE, *CHIP, *PAGE)}
    assert checked == set((ROOT / "src_c").rglob("*.c"))


def test_the_analyzer_of_gcc_finds_nothing(gcc: list[str], generated: str, tmp_path: Path) -> None:
    words = [*gcc, generated, *ANALYZER, "-O1", "-S"]
    run([*words, *absolute([*c_files(*NATIVE), PLUGIN])], tmp_path)
    # The chip's addresses have 32 bits. Where this machine has none such, their conversions are left to clang.
    other = ["-Wno-conversion", "-Wno-pointer-to-int-cast", "-Wno-int-to-pointer-cast"]
    addresses = ["-m32"] if platform.machine() == "x86_64" else other
    run([*words, "-ffreestanding", *addresses, *absolute(c_files(*CHIP))], tmp_path)


def test_clang_warns_of_nothing(clang: str, gcc: list[str], generated: str, tmp_path: Path) -> None:
    checks = ["-Weverything", *(f"-Wno-{name}" for name in CLANG_ONLY_STYLE), "-fsyntax-only", f"-I{ROOT / 'src_c'}"]
    for_chip = [word for word in toolchain.find_xtensa("llvm").compile if word != "-S"]
    chip_files = c_files(*(part for part in (*NATIVE, *CHIP) if part not in HOSTED))
    run([*for_chip, *checks, generated, *absolute(chip_files)], tmp_path)
    run([clang, *toolchain.LANGUAGE, *checks, generated, *absolute([*c_files(*HOSTED), PLUGIN])], tmp_path)
    run([*toolchain.find_wasm().compile, *checks, generated, *absolute(c_files(*PAGE))], tmp_path)


def test_another_compiler_of_this_machine_makes_the_same_bits(
    clang: str, programs: Programs, generated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CC= names it. Left to itself clang would fuse products and sums, which gcc does not in ISO C."""
    expected = programs.run_host().stdout  # before CC changes what the build takes
    monkeypatch.setenv("CC", clang)
    host = toolchain.find_host()
    assert host.cc == clang
    files = absolute(sources("core", "math", *HOST_KERNELS, "text", "app", "app/check", "board/host", "board/no_flash"))
    embedded = [generated, *embedding(programs.dataset(), programs.settings())]
    run([*host.compile, "-O1", f"-I{ROOT / 'src_c'}", *embedded, "-o", "program", *files, "-lm"], tmp_path)
    assert run([tmp_path / "program"], tmp_path).stdout == expected


@pytest.fixture(scope="module")
def sanitized(gcc: list[str], programs: Programs, generated: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the program, for a short text, and with the libraries, all under the sanitizers."""
    folder = tmp_path_factory.mktemp("sanitized")
    text = folder / "dataset.bin"
    lines = ["emma", "olivia", "a", "the quick brown fox jumps over the lazy dog", "zoë"]
    text.write_bytes(dataset.pack_documents(lines, "the text"))
    compile_ = [*gcc, *SANITIZERS, "-fPIC"]
    learner = absolute(c_files("core", "math", *HOST_KERNELS, "text", "app/refusal.c"))
    run([*compile_, "-r", "-o", "learner.o", *learner], folder)
    app = [path for path in sources("app", "app/check") if path.name != "refusal.c"]
    program = absolute([*app, *sources("board/host", "board/no_flash")])
    embedded = [generated, *embedding(text, programs.settings())]
    run([*compile_, *embedded, "-o", "program", "learner.o", *program, "-lm"], folder)
    library = [*compile_, "-shared", "-Wl,-Bsymbolic", "-o"]
    whole = ["learner.o", *absolute(c_files("library")), "-lm"]
    run([*library, "libmicrogpt.so", f"-Wl,--version-script={ROOT / 'linker/library.map'}", *whole], folder)
    run([*library, "libinternals.so", *whole], folder)
    run([*library, "libplain.so", *absolute(c_files("math", "kernels/plain")), "-lm"], folder)
    return folder


@pytest.mark.parametrize(
    "shape",
    [
        {"n_embd": 1, "n_head": 1, "block_size": 1},
        {"n_embd": 15, "n_head": 3, "n_layer": 2, "block_size": 7},
        {"n_embd": 36, "n_head": 4, "block_size": 19},
        {"n_embd": 6, "n_head": 6, "n_layer": 4, "block_size": 40},
    ],
    ids=str,
)
def test_the_program_does_nothing_undefined(shape: Mapping[str, int], sanitized: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(with_settings((sanitized / "program").read_bytes(), steps=12, samples=4, log_every=5, **shape))
    program.chmod(0o755)
    output = run([program], tmp_path).stdout
    assert re.search(r"^step   12 /   12 \| loss \d", output, re.MULTILINE)
    assert re.search(r"^weights crc32: [0-9a-f]{8}$", output, re.MULTILINE)


BATCHES, LINES_OF_BATCH = 80, 250
COMMANDS = "help info set train names complete temperature teach loss next attention".split()
SETTINGS = "n_embd n_head n_layer block_size steps samples log_every lr temperature seed n_embed".split()
NUMBERS = [*map(str, range(-1, 41)), "007", "0.5", "1e-3", "1e", "4294967296", "99999999999999999999", "hw", "0x1f"]
CHARACTERS = "aemqz ox\u00eb\U0001f600\"'=-.\t\x7f\x08\x15\x1b[A\x03"


def line(draw: random.Random) -> bytes:
    """A line such as a person, a program or noise may send."""
    text = "".join(draw.choices(CHARACTERS, k=draw.choice([0, 1, 3, 8, 20, 300])))
    number = draw.choice(NUMBERS)
    command = draw.choice(COMMANDS)
    words = [f"{draw.choice(SETTINGS)}={draw.choice(NUMBERS)}" for _ in range(draw.randrange(4))]
    return draw.choice(
        [
            f"{command} {text} {number}".encode(),
            f"{command} {number}".encode(),
            f"set {' '.join(words)}".encode(),
            command.encode(),
            text.encode(),
            bytes(draw.randrange(256) for _ in range(draw.randrange(40))),
        ]
    )


@given(st.integers(0, 2**32 - 1))
@hypothesis.settings(max_examples=BATCHES, phases=[hypothesis.Phase.generate])
def test_whatever_is_typed_is_answered(sanitized: Path, seed: int) -> None:
    """20,000 lines, each of which ends in ok or an error and another prompt, or is empty. Slow, for it is sanitized."""
    draw = random.Random(seed)
    typed = [re.sub(rb"[\r\n]", b"", line(draw)) for _ in range(LINES_OF_BATCH)]
    program = sanitized / "console"
    if not program.exists():
        chosen = {"n_embd": 4, "n_head": 2, "block_size": 6, "steps": 3, "samples": 1, "console": "yes"}
        program.write_bytes(with_settings((sanitized / "program").read_bytes(), **chosen))
        program.chmod(0o755)
    done = subprocess.run([program], input=b"\n".join(typed) + b"\n", capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr[-3000:]
    assert not done.stderr
    console = done.stdout.decode("utf-8", "replace")
    # An empty line leaves two prompts side by side, for here nobody echoes its end.
    console = re.sub(r"^(> )+", lambda prompts: len(prompts[0]) // 2 * "\n> ", console, flags=re.MULTILINE)
    _, *parts = re.split(r"^> ", console, flags=re.MULTILINE)
    for part in parts:
        assert part.rstrip("\n") in ("", "^C") or re.search(r"^(ok|error: .*)\n+\Z", part, re.MULTILINE), part
    assert len(parts) == len(typed) + 1 or any(b"\x03" in one for one in typed)


def test_kernels_data_sets_plans_and_learners_do_nothing_undefined(gcc: list[str], sanitized: Path) -> None:
    """The tests of the host's kernels at random shapes, of hostile data sets, of plans and of the library, sanitized.

    Python and NumPy take each buffer from malloc, at its own length, and the sanitizer guards both its ends. The
    example of README is left out, for it runs in a process of its own. Of the plans that hypothesis draws a tenth are
    enough here: the same tests judge them all without sanitizers.
    """
    runtime = subprocess.run([gcc[0], "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    chosen = "test_equal_bits and host or dataset_open and not program or test_plan or test_python_face and not readme"
    words += [f"--libraries={sanitized}", "-k", chosen]
    words += [f"tests/test_{name}.py" for name in ("kernel_twins", "dataset_open", "plan", "python_face")]
    environment = {
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0:malloc_context_size=2",
        "LD_PRELOAD": runtime.stdout.strip(),
    }
    done = run(words, ROOT, **environment)
    assert re.search(r"^\d\d\d passed, \d+ deselected", done.stdout, re.MULTILINE), done.stdout
