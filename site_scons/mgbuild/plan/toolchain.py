"""The compilers: which are installed, their versions, and the flags each needs.

Two paths build the same sources for the ESP32's cores. ESP-IDF's GCC compiles and links in the usual way.
LLVM takes a detour: clang's own object writer misplaces Xtensa literals, so C goes through assembly text, which
firmware/listing.py finishes, to llvm-mc; and as lld does not know the machine, GNU ld for the ESP8266 (same
architecture) links.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mgbuild.errors import UserError

# Contraction would fuse a*b+c where the source does not say so, and change the bits from target to target.
LANGUAGE = ("-std=c17", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
FREESTANDING = ("-O3", "-ffreestanding", "-fno-builtin", "-ffunction-sections", "-fdata-sections", "-fno-jump-tables")

# GCC's tables for a switch would take data memory, of which the firmware has less to spare than of code.
SWITCHES_AS_CODE = ("-fno-tree-switch-conversion",)

# The LX6 of the ESP32 without mul32high (MULUH, MULSH), which the emulated core does not have.
LX6_FEATURES = (
    *("fp", "windowed", "density", "loop", "mul16", "mul32", "div32", "bool", "nsa", "sext", "minmax"),
    *("clamps", "mac16", "s32c1i", "threadptr", "coprocessor", "exception", "interrupt"),
    *("highpriinterrupts", "debug", "timers3", "rvector", "prid", "miscsr", "regprotect"),
)

# Regions may overlap at link time, so that the memory report can say what makes a model too large.
LINK = (
    *("--no-relax", "--gc-sections", "--fatal-warnings", "--orphan-handling=error", "--no-check-sections"),
    *("--no-warn-rwx-segments", "-z", "noexecstack"),
)

# The stack lies lowest, so that an overflow leaves the memory, which is a trap, and no array is hit.
WASM_LINK = (
    "--no-entry",
    "--gc-sections",
    "--fatal-warnings",
    "--strip-all",
    "--stack-first",
    "-z",
    "stack-size=65536",
)

LLVM_MAJOR = 22
LLVM_PACKAGES = f"clang-{LLVM_MAJOR} llvm-{LLVM_MAJOR} binutils-xtensa-lx106"


@dataclass(frozen=True)
class EspIdf:
    """GCC as ESP-IDF installs it."""

    gcc: str
    selector: tuple[str, ...]  # flags that make a multi-chip gcc one for the ESP32
    version: str

    name = "esp-idf"

    def __str__(self) -> str:
        return f"{self.name} ({Path(self.gcc).name} {self.version})"

    @property
    def compile(self) -> list[str]:
        """Command for C and assembly sources; -c, -o and the source are to follow."""
        return [self.gcc, *self.selector, "-mlongcalls", "-g", *LANGUAGE, *FREESTANDING, *SWITCHES_AS_CODE]

    @property
    def link(self) -> list[str]:
        """Command that links objects; -T, -o and the objects are to follow, and `libraries` last."""
        through_gcc = [f"-Wl,{flag}" for flag in LINK]
        return [self.gcc, *self.selector, "-nostdlib", "-nostartfiles", *through_gcc]

    libraries = ("-lgcc",)

    @staticmethod
    def for_linker(flag: str) -> list[str]:
        """Words that hand a flag to the linker; -Wl, would split it at commas."""
        return ["-Xlinker", flag]


@dataclass(frozen=True)
class Llvm:
    """Clang, llvm-mc and GNU ld."""

    clang: str
    assembler: str
    linker: str
    clang_version: str
    linker_version: str

    name = "llvm"

    def __str__(self) -> str:
        return f"{self.name} (clang {self.clang_version}, xtensa-lx106 ld {self.linker_version})"

    @property
    def compile(self) -> list[str]:
        """Command from C to assembly text; -o and the source are to follow, and -g if wanted.

        A jump table in .rodata would take the literals of the function after it out of l32r's reach.
        """
        features = [f"-Xclang -target-feature -Xclang +{name}".split() for name in LX6_FEATURES]
        return [
            *(self.clang, "--target=xtensa-none-elf", *chain.from_iterable(features)),
            *(*LANGUAGE, *FREESTANDING, "-S"),
        ]

    @property
    def preprocess(self) -> list[str]:
        """Command from .S to assembly text; -o and the source are to follow."""
        return [self.clang, "--target=xtensa-none-elf", "-x", "assembler-with-cpp", "-E"]

    @property
    def expand(self) -> list[str]:
        """Command from assembly text to the same without macros; -o and the source are to follow."""
        return [self.assembler, "-triple=xtensa", "-mcpu=esp32", "-filetype=asm", "-g"]

    @property
    def assemble(self) -> list[str]:
        """Command from assembly text to an object; -o and the source are to follow."""
        return [self.assembler, "-triple=xtensa", "-mcpu=esp32", "-filetype=obj"]

    @property
    def link(self) -> list[str]:
        """Command that links objects; -T, -o and the objects are to follow."""
        return [self.linker, *LINK]

    libraries = ()

    @staticmethod
    def for_linker(flag: str) -> list[str]:
        """Words that hand a flag to the linker."""
        return [flag]


@dataclass(frozen=True)
class Wasm:
    """Clang and LLVM's linker, for WebAssembly without an operating system."""

    clang: str
    linker: str
    version: str

    def __str__(self) -> str:
        return f"clang {self.version} and {Path(self.linker).name}, for WebAssembly"

    @property
    def compile(self) -> list[str]:
        """Command for C and assembly sources; -c, -o and the source are to follow."""
        return [self.clang, "--target=wasm32", *LANGUAGE, *FREESTANDING]

    @property
    def link(self) -> list[str]:
        """Command that links objects; --export=, -o and the objects are to follow."""
        return [self.linker, *WASM_LINK]


@dataclass(frozen=True)
class Host:
    """The compiler of the machine that builds."""

    cc: str
    version: str

    def __str__(self) -> str:
        return f"{Path(self.cc).name} {self.version}"

    @property
    def compile(self) -> list[str]:
        """Command for C and assembly sources; -c, -o and the source are to follow.

        -march=native makes fmaf one instruction where the processor has it; the result is the same without.
        """
        return [self.cc, *LANGUAGE, "-O3", "-march=native"]


def find_xtensa(choice: str = "auto") -> EspIdf | Llvm:
    """The toolchain to use for `choice` (auto, esp-idf or llvm); raises UserError saying what to install."""
    esp_idf = _find_esp_idf() if choice in ("auto", "esp-idf") else None
    if esp_idf:
        return esp_idf
    if choice == "esp-idf":
        raise UserError(
            "toolchain=esp-idf: no xtensa-esp32-elf-gcc or xtensa-esp-elf-gcc on PATH or under "
            f"{_espressif_tools()}; install ESP-IDF and source its export.sh, or use toolchain=llvm"
        )
    return _find_llvm()


def find_wasm() -> Wasm:
    """The toolchain for WebAssembly; raises UserError saying what to install."""
    clang, version = _llvm_program("clang")
    linker, _ = _llvm_program("wasm-ld")
    if not (clang and linker):
        programs = {f"clang-{LLVM_MAJOR}": clang, f"wasm-ld-{LLVM_MAJOR}": linker}
        missing = [name for name, path in programs.items() if not path]
        raise UserError(
            f"no compiler for WebAssembly: {' and '.join(missing)} not on PATH; install them "
            f"(Debian: apt install clang-{LLVM_MAJOR} lld-{LLVM_MAJOR}), or run ./sconsw, which does"
        )
    return Wasm(clang, linker, version)


def find_host() -> Host:
    """The C compiler of this machine: $CC, or gcc, clang or cc; raises UserError when there is none."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["gcc", "clang", "cc"]
    for name in names:
        path = shutil.which(name)
        if path:
            return Host(path, _version(path, "-dumpfullversion", "-dumpversion"))
    raise UserError(
        f"no C compiler for this machine: {' or '.join(names)} is not on PATH; "
        "install one (Debian: apt install gcc libc6-dev) or run ./sconsw host, which does"
    )


def _find_esp_idf() -> EspIdf | None:
    for name, selector in (
        ("xtensa-esp32-elf-gcc", ()),
        ("xtensa-esp-elf-gcc", ("-mdynconfig=xtensa_esp32.so",)),
    ):
        folders = sorted(_espressif_tools().glob("xtensa-esp*-elf/*/*/bin"), reverse=True)
        path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))
        if path:
            return EspIdf(path, selector, _version(path, "-dumpfullversion"))
    return None


def _espressif_tools() -> Path:
    return Path(os.environ.get("IDF_TOOLS_PATH") or Path.home() / ".espressif") / "tools"


def _find_llvm() -> Llvm:
    clang, clang_version = _llvm_program("clang")
    assembler, _ = _llvm_program("llvm-mc")
    linker = shutil.which("xtensa-lx106-elf-ld")
    if not (clang and assembler and linker):
        programs = {f"clang-{LLVM_MAJOR}": clang, f"llvm-mc-{LLVM_MAJOR}": assembler, "xtensa-lx106-elf-ld": linker}
        missing = [name for name, path in programs.items() if not path]
        raise UserError(
            f"no compiler for the ESP32's cores: {', '.join(missing)} not on PATH; install them "
            f"(Debian: apt install {LLVM_PACKAGES}) or ESP-IDF, or run ./sconsw, which does"
        )
    return Llvm(clang, assembler, linker, clang_version, _version(linker, "--version"))


def _llvm_program(name: str) -> tuple[str, str]:
    """Path and version of an LLVM program; before LLVM_MAJOR the Xtensa back end knew no floating point."""
    for candidate in (f"{name}-{LLVM_MAJOR}", name):
        path = shutil.which(candidate)
        if path:
            version = _version(path, "--version")
            if int(version.split(".")[0]) >= LLVM_MAJOR:
                return path, version
    return "", ""


def _version(program: str, *flags: str) -> str:
    """First dotted number in what `program` prints for one of `flags`; raises UserError when it does not work."""
    complaint = "it prints no version"
    for flag in flags:
        try:
            result = subprocess.run([program, flag], capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:  # not executable, or made for another kind of machine
            raise UserError(f"{program} does not run on this machine: {error.strerror}") from None
        numbers = re.search(r"\d+(\.\d+)+|^\d+$", result.stdout.strip())
        if result.returncode == 0 and numbers:
            return numbers.group()
        if result.returncode != 0:
            said = (result.stderr or result.stdout).strip().splitlines()
            complaint = f"it ends with status {result.returncode}" + (f": {said[-1]}" if said else "")
    raise UserError(f"{program} does not work: asked for its version with {flags[-1]}, {complaint}")
