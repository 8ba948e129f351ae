"""The emulators: QEMU's de233_fpu core for the sim board, and Espressif's QEMU for a whole ESP32."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mgbuild.errors import UserError
from mgbuild.plan import settings_table

PROGRAM = "qemu-system-xtensa"
NOT_EMULATED = ("muluh", "mulsh")  # instructions that the chip has and the core de233_fpu has not
CORES_SYMBOL = "emulated_cores"  # linker/sim.ld: a word for the number of cores
SECOND_ENTRY = "start_second"  # src_c/board/xtensa/start.S
DATASET_SYMBOLS = ("dataset_start", "dataset_end")  # linker/sim.ld: where the data set is
MEMORY_END = "file_end"  # linker/sim.ld


def find() -> str:
    """Path of the emulator; raises UserError, naming the package, when it is not installed."""
    path = shutil.which(PROGRAM)
    if path is None:
        raise UserError(
            f"no emulator: {PROGRAM} is not on PATH; install it (Debian: apt install qemu-system-misc) "
            "or run ./sconsw sim, which does"
        )
    return path


def find_esp32() -> str | None:
    """Path of a QEMU with the `esp32` machine, on PATH or where ESP-IDF installs it, else None."""
    tools = Path(os.environ.get("IDF_TOOLS_PATH") or Path.home() / ".espressif") / "tools"
    candidates = [shutil.which(PROGRAM), *sorted(map(str, tools.glob(f"qemu-xtensa/*/qemu/bin/{PROGRAM}")))]
    for program in filter(None, candidates):
        machines = subprocess.run([program, "-M", "help"], capture_output=True, text=True, check=False)
        if any(line.startswith("esp32 ") for line in machines.stdout.splitlines()):
            return program
    return None


def check_instructions(elf: Path) -> None:
    """Raises UserError, naming function and address, when a program has an instruction that the core does not know."""
    from mgbuild.firmware.machine_code import MachineCode  # here, for the same reason as in command()

    code = MachineCode(elf)
    for function in code.functions.values():
        for op in code.reachable(function):
            if op.name in NOT_EMULATED:
                raise UserError(
                    f"{elf} cannot run on the emulated core: {function.name} has {op.name} at {op.address:#010x}; "
                    "GCC makes it of divisions by constants and products of 64 bits; find another way, as print.c does"
                )


def useful_cores(firmware: Path) -> int:
    """How many cores to emulate for a firmware: as many as its table of options asks for, if each finds a CPU here.

    Two that share a CPU would wait for each other a time slice at a time.
    """
    table = settings_table.find(firmware.read_bytes())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(table.cores if table else 1, usable)


def command(program: str, firmware: Path, dataset: Path | None = None, cores: int = 1) -> list[str]:
    """Command line that runs `firmware` (ELF) with `dataset`, if any, in the core's memory; more flags may follow.

    cores: 1, or 2 where time is no function of instructions (-icount), for then one core's wait costs a time slice.
    The generic loader starts a core at the ELF's entry point, which -kernel would not. Raises UserError
    when the firmware is not one for this board, or the data set runs over the end of memory.
    """
    from mgbuild.firmware.elf import addresses  # here, so that building for the host takes no package but SCons

    symbols = addresses(firmware)
    if not symbols.keys() >= {*DATASET_SYMBOLS, MEMORY_END, CORES_SYMBOL}:
        raise UserError(f"{firmware} has no symbol {DATASET_SYMBOLS[0]}: link it with linker/sim.ld")
    begin, end = (symbols[name] for name in DATASET_SYMBOLS)
    words = [
        program,
        *("-M", "sim", "-cpu", "de233_fpu", "-m", f"{symbols[MEMORY_END] >> 20}"),
        *("-display", "none", "-monitor", "none", "-serial", "none", "-semihosting"),
        *("-device", f"loader,file={_quoted(firmware)},cpu-num=0"),
    ]
    if cores > 1:
        words += ["-smp", f"{cores}", "-device", f"loader,addr={symbols[SECOND_ENTRY]:#x},cpu-num=1"]
        words += ["-device", f"loader,addr={symbols[CORES_SYMBOL]:#x},data={cores},data-len=4"]
    if dataset is None:
        return words
    excess = begin + dataset.stat().st_size - end
    if excess > 0:
        raise UserError(f"{dataset} is {excess:,} bytes too large for the emulated core; use a shorter text")
    return [*words, "-device", f"loader,file={_quoted(dataset)},addr={begin:#x},force-raw=on"]


# What src_c/board/sim/board.c looks for in the emulator's folder.
RESUME, KEPT, ASKS_TO_KEEP = "resume.ckpt", "checkpoint.ckpt", "checkpoint"


@contextmanager
def folder(resume: Path | None, checkpoint: Path | None) -> Iterator[Path]:
    """A folder to run the emulator in: with the file to go on from, and where the program keeps its checkpoints.

    However the run ends, `checkpoint` is replaced by the last one if that is whole.
    """
    from microgpt.checkpoint import Checkpoint, CheckpointError  # here, for the same reason as in command()

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if resume:
            (place / RESUME).symlink_to(resume.absolute())
        if checkpoint:
            (place / ASKS_TO_KEEP).touch()
        try:
            yield place
        finally:
            if checkpoint and (place / KEPT).exists():
                with suppress(CheckpointError):
                    Checkpoint.open(place / KEPT).write(checkpoint)


def capture(
    firmware: Path, dataset: Path, timeout: float, *flags: str, typed: str = "", cores: int = 1, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program for at most `timeout` seconds and return its exit status and what it wrote.

    typed: what it finds on its console. cores: as for `command`. cwd: from `folder`.

    Raises subprocess.TimeoutExpired after that time.
    """
    return subprocess.run(
        [*command(find(), firmware, dataset, cores), *flags],
        input=typed,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
        cwd=cwd,
    )


def command_esp32(program: str, flash: Path, serial: str, in_turns: bool = False) -> list[str]:
    """Command line that boots a 4 MB flash image, which it may write to, with UART0 on a device that QEMU names.

    Each core gets a thread; in_turns, as -icount needs it, they wait for each other a slice at a time.
    """
    drive = f"file={_quoted(flash)},if=mtd,format=raw"
    accelerator = [] if in_turns else ["-accel", "tcg,thread=multi"]
    words = [program, "-M", "esp32", *accelerator, "-display", "none", "-monitor", "none"]
    return [*words, "-serial", serial, "-drive", drive]


def capture_esp32(program: str, flash: Path, until: str, timeout: float) -> str:
    """Boot a 4 MB flash image on an emulated ESP32 until a whole line that begins with `until` is printed.

    Returns what UART0 wrote, with plain line feeds. Works on a copy of the image, for the machine may write to its
    flash. Raises TimeoutError, with the output so far, when the line has not come after `timeout` seconds.
    """
    with tempfile.TemporaryDirectory() as name:
        console = Path(name, "console.log")
        copy = shutil.copy(flash, name)
        words = command_esp32(program, Path(copy), f"file:{_quoted(console)}")
        deadline = time.monotonic() + timeout
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as machine:
            try:
                while time.monotonic() < deadline:
                    output = _text(console.read_bytes()) if console.exists() else ""
                    if any(line.startswith(until) for line in output.split("\n")[:-1]):
                        return output
                    time.sleep(0.1)
            finally:
                machine.kill()
        raise TimeoutError(f"no line {until!r} from {flash} within {timeout:.0f} seconds; it wrote:\n{output}")


def _text(console: bytes) -> str:
    return console.decode("utf-8", "replace").replace("\r\n", "\n")


def _quoted(path: Path) -> str:
    """Path as a value in a QEMU option list, where a comma ends the value and two stand for one."""
    return str(path).replace(",", ",,")
