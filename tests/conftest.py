"""Fixtures that build, run and call the project as a user would.

Programs are built once for each set of options, but for those in the program's table, which is exchanged. One build
folder serves them all, since little differs from one set to the next; all test processes share it, with a lock that
lets one of them build while the others wait.
"""

import ctypes
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.mark.expression import Expression
from cross import Cross
from mgbuild import browser
from mgbuild.device import ports
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.plan import options as build_options
from mgbuild.plan import settings_table, toolchain
from selenium import webdriver

from python_ref.model import Shape

ROOT = Path(__file__).resolve().parent.parent
BUILD_TIMEOUT = 240  # seconds; a build takes a few, more when every test process builds at once
RUN_TIMEOUT = 120

# How long an example takes says nothing here: other test processes build meanwhile.
hypothesis.settings.register_profile("project", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("project")


def examples(count: int) -> hypothesis.settings:
    """How many examples to draw; a tenth of them where a sanitizer watches, which makes each ten times as dear."""
    return hypothesis.settings(max_examples=count // 10 if "ASAN_OPTIONS" in os.environ else count)


Completed = subprocess.CompletedProcess[str]
Link = Callable[..., Path]
OnceOpened = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="session")
def root() -> Path:
    """Top folder of the repository."""
    return ROOT


def run_scons(
    *words: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = BUILD_TIMEOUT
) -> Completed:
    """Run scons with these words, every step told, and return its exit status, stdout and stderr."""
    return subprocess.run(
        [sys.executable, "-m", "SCons", "-Q", "verbose=1", *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def scons() -> Callable[..., Completed]:
    """`run_scons`, as a fixture."""
    return run_scons


class Programs:
    """What scons makes of the sources for a set of options (`n_embd=32` and the like), each built at most once."""

    def __init__(self, folder: Path, libraries: Path | None) -> None:
        self._folder = folder
        self._libraries = libraries

    @contextmanager
    def build_folder(self) -> Iterator[Path]:
        """A build folder for whoever has it, with any options; most of what is asked for has been made there before."""
        with _locked(self._folder / "build.lock"):
            yield self._folder / "build"

    def library(self, name: str = "libmicrogpt.so") -> Path:
        """Path of a shared library: libmicrogpt.so; libinternals.so, which is the same with all its functions in sight;
        libplain.so, the plain kernels, which define the bits, and no learner."""
        return self._libraries / name if self._libraries else self._build(f"host/{name}")

    def host(self, **options: object) -> Path:
        """Path of the native executable."""
        return self._program("host/microgpt", **options)

    def dataset(self, **options: object) -> Path:
        """Path of the packed data set."""
        return self._build("dataset.bin", **options)

    def sim(self, **options: object) -> tuple[Path, Path]:
        """Paths of the ELF for the emulated core and of its data set image."""
        dataset = {name: value for name, value in options.items() if name == "dataset"}
        return self._program("sim/firmware.elf", **options), self.dataset(**dataset)

    def kernel_runner(self, **options: object) -> Path:
        """Path of the ELF that calls kernels on the emulated core; see kernels.py."""
        return self._build("sim/kernel_runner.elf", **options)

    def profile_plugin(self) -> Path:
        """Path of the emulator's plugin that counts instructions."""
        return self._build("bench/profile.so")

    def esp32(self, **options: object) -> Path:
        """Folder of the firmware for the ESP32: firmware.elf, firmware.bin, dataset.bin, factory.bin, memory.json."""
        return self._build("esp32/factory.bin", **options).parent

    def product(self, name: str, **options: object) -> Path:
        """Path of anything else that scons makes, by its name in the build folder."""
        return self._build(name, **options)

    def settings(self) -> Path:
        """Path of the table of default options, for app/settings.S."""
        return self._build("generated/settings.bin")

    @functools.cache  # noqa: B019 - one object lives as long as the session
    def load(self) -> ctypes.CDLL:
        """libinternals.so, loaded."""
        return ctypes.CDLL(str(self.library("libinternals.so")))

    @functools.cache  # noqa: B019
    def load_plain(self) -> ctypes.CDLL:
        """libplain.so, loaded."""
        return ctypes.CDLL(str(self.library("libplain.so")))

    @functools.cache  # noqa: B019
    def run_host(self, **options: object) -> Completed:
        """Exit status and output of the native executable."""
        return subprocess.run(
            [self.host(**options)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=RUN_TIMEOUT,
            check=False,
        )

    @functools.cache  # noqa: B019
    def run_sim(self, **options: object) -> Completed:
        """Exit status and output of the program on the emulated core."""
        return emulator.capture(*self.sim(**options), RUN_TIMEOUT)

    @functools.cache  # noqa: B019
    def _program(self, product: str, **options: object) -> Path:
        """Path of a program that is built once for all values of the options in its table."""
        before = {name: value for name, value in options.items() if not _goes_into_the_table(name, value)}
        built = self._build(product, **before)
        if before == options:
            return built
        program = self._folder_of(options) / "table" / built.name
        with _locked(self._folder_of(options).with_suffix(".lock")):
            if not program.exists():
                program.parent.mkdir(parents=True, exist_ok=True)
                program.write_bytes(with_settings(built.read_bytes(), **options))
                program.chmod(built.stat().st_mode)
        return program

    @functools.cache  # noqa: B019
    def _build(self, product: str, **options: object) -> Path:
        """Path of a product for these options, copied out of the build folder before that is used for others."""
        kept = self._folder_of(options) / product
        with self.build_folder() as build:
            if not kept.exists():
                result = run_scons(f"build={build}", *_words(options), str(build / product))
                told = f"scons {product} {' '.join(_words(options))}\n{result.stdout}{result.stderr}"
                assert result.returncode == 0, told
                _copy(build / product, kept)
        return kept

    def _folder_of(self, options: Mapping[str, object]) -> Path:
        return self._folder / hashlib.sha256(" ".join(_words(options)).encode()).hexdigest()[:16]


def _copy(product: Path, kept: Path) -> None:
    """Copy a file or a folder; of the firmware for the ESP32, what comes together with it."""
    if product.parent.name == "esp32":
        for path in filter(Path.is_file, product.parent.iterdir()):
            if path != product:
                _copy_file(path, kept.with_name(path.name))
    if product.is_dir():
        shutil.copytree(product, kept)
    else:
        _copy_file(product, kept)


def _copy_file(path: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, kept)


def _goes_into_the_table(name: str, value: object) -> bool:
    """Whether a program's table has room for another value of this option."""
    if name == "seed":
        return len(settings_table.seed_words(int(str(value)))) <= settings_table.LEAST_SEED_ROOM
    return name in (*settings_table.NUMBERS, *settings_table.RATES, "console", "start")


def _words(options: Mapping[str, object]) -> list[str]:
    return sorted(f"{name}={value}" for name, value in options.items())


def with_settings(program: bytes, **chosen: object) -> bytes:
    """A program with another table of options in the place of its own; the seed has room where the old one had."""
    table = settings_table.pack(build_options.parse({name: str(value) for name, value in chosen.items()}))
    at = program.index(settings_table.MAGIC)
    return program[:at] + table + program[at + len(table) :]


def options(shape: Shape) -> dict[str, int]:
    """The build options of a shape; its vocabulary comes from the text."""
    return {name: getattr(shape, name) for name in ("n_embd", "n_head", "n_layer", "block_size")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--libraries", type=Path, help="folder of the libraries to test, instead of building the default ones"
    )
    parser.addoption("--cuts", type=int, default=8, help="how often an emulated chip loses its power at random")
    parser.addoption("--board", default="", help="serial port of a board, which is flashed and tested")


def pytest_configure(config: pytest.Config) -> None:
    """An expression that pytest cannot read ends a run in a sentence, not in the workers' tracebacks."""
    try:
        Expression.compile(config.getoption("keyword"))
    except SyntaxError as error:
        raise pytest.UsageError(f"k={config.getoption('keyword')} is no expression: {error}") from None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a board, its tests are not there: deselected, neither passed nor skipped."""
    if config.getoption("board"):
        return
    left_out = [item for item in items if item.get_closest_marker("board")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def board_port(request: pytest.FixtureRequest) -> str:
    """Serial port of the board that `scons test board=PORT` names."""
    return request.config.getoption("board")


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Builds, runs and loads programs; see `Programs`."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "programs"
    folder.mkdir(exist_ok=True)
    return Programs(folder, request.config.getoption("libraries"))


@pytest.fixture(scope="session")
def esp32_emulator() -> str:
    """Path of a QEMU with the esp32 machine; the test is skipped where there is none."""
    program = emulator.find_esp32()
    if program is None:
        pytest.skip("no QEMU with the esp32 machine here; ESP-IDF has it: idf_tools.py install qemu-xtensa")
    return program


@pytest.fixture(scope="module")
def page_folder(programs: Programs) -> Path:
    """The folder of the page, as the build makes it."""
    try:
        toolchain.find_wasm()
        toolchain.find_xtensa()
    except UserError as error:
        pytest.skip(str(error))
    return programs.product("web")


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser without a window, which logs its console and its requests."""
    try:
        with browser.started() as found:
            yield found
    except UserError as error:
        said = f"THE PAGE IS NOT TESTED: {error}"
        warnings.warn(said, stacklevel=1)
        pytest.skip(said)


@pytest.fixture
def once_opened(monkeypatch: pytest.MonkeyPatch) -> OnceOpened:
    """Function that takes what is to happen as soon as a port has been opened, before it is used."""

    def arrange(action: Callable[[], object]) -> None:
        def open_and_act(*words: object) -> object:
            line = open_port(*words)
            action()
            return line

        open_port = ports.opened
        monkeypatch.setattr(ports, "opened", open_and_act)

    return arrange


@contextmanager
def _locked(path: Path) -> Iterator[Any]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@pytest.fixture(scope="session")
def cross() -> Cross:
    """The toolchain for the ESP32's cores that is here; the test is skipped where there is none."""
    try:
        return Cross()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture
def link(tmp_path: Path, cross: Cross) -> Link:
    """Function from functions (name and body in assembly, instructions parted by ";") to a linked ELF."""

    def build(**functions: str) -> Path:
        source, part, elf = (tmp_path / f"program.{suffix}" for suffix in ("s", "o", "elf"))
        text = '.section .text, "ax"\n.literal_position\n'
        for name, body in functions.items():
            instructions = "\n".join(body.split(";"))
            text += f".balign 4\n.global {name}\n"
            text += f".type {name}, @function\n{name}:\n{instructions}\n.size {name}, . - {name}\n"
        source.write_text(text)
        cross.object(source, part)
        return cross.link(elf, "linker/sim.ld", [part], "--no-gc-sections", f"--entry={next(iter(functions))}")

    return build
