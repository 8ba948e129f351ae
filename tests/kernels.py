"""Calls of kernels (src_c/kernels/kernels.h) as data, carried out by a library here or on the emulated core."""

import ctypes
import re
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from conftest import ROOT
from mgbuild.emulated import emulator
from mgbuild.firmware.machine_code import MachineCode

KERNELS = re.findall(r"^KERNEL\((\w+)\)$", (ROOT / "src_c/kernels/kernels.inc").read_text(), re.MULTILINE)
ARGUMENTS = 6
RUN_TIMEOUT = 60


class AdamStep(ctypes.Structure):
    """struct adam_step of src_c/kernels/kernels.h."""

    _fields_ = [
        (name, ctypes.c_float)
        for name in ("gradient_scale", "first_decay", "rate", "epsilon", "scaled_rate", "lifted_epsilon", "exact_below")
    ] + [("all_large", ctypes.c_uint32)]


@dataclass
class Call:
    """One kernel with its arguments: int, np.float32, or an array of 32-bit elements that is passed by address."""

    kernel: str
    arguments: Sequence[Any]

    @property
    def arrays(self) -> list[np.ndarray]:
        return [argument for argument in self.arguments if isinstance(argument, np.ndarray)]


def matmul_sizes(columns: int, depth: int, y_stride: int, x_stride: int, w_stride: int) -> np.ndarray:
    """struct matmul_sizes."""
    return np.array([columns, depth, y_stride, x_stride, w_stride], np.uint32)


def softmax_sizes(stride: int, growth: int = 0) -> np.ndarray:
    """struct softmax_sizes."""
    return np.array([stride, growth], np.uint32)


def rmsnorm_sizes(width: int) -> np.ndarray:
    """struct rmsnorm_sizes."""
    return np.array([width, np.float32(1 / width).view(np.uint32)], np.uint32)


def run_host(library: ctypes.CDLL, call: Call) -> list[np.ndarray]:
    """Carry out a call on copies of its arrays; returns them as the kernel left them."""
    arrays = []
    words: list[Any] = []
    for argument in call.arguments:
        if isinstance(argument, np.ndarray):
            arrays.append(argument.copy())
            words.append(ctypes.c_void_p(arrays[-1].ctypes.data))
        elif isinstance(argument, np.float32):
            words.append(ctypes.c_float(float(argument)))
        else:
            words.append(ctypes.c_uint32(argument))
    getattr(library, call.kernel)(*words)
    return arrays


def run_core(runner: Path, calls: Sequence[Call], folder: Path, *flags: str) -> list[list[np.ndarray]]:
    """Carry out calls on the emulated core, in one run; returns each call's arrays as the kernel left them.

    flags: more for the emulator.
    """
    words = [struct.pack("<I", len(calls))]
    for call in calls:
        words.append(struct.pack("<I", KERNELS.index(call.kernel)))
        for argument in [*call.arguments, *[0] * (ARGUMENTS - len(call.arguments))]:
            if isinstance(argument, np.ndarray):
                words.append(struct.pack("<II", 1, argument.size))
            elif isinstance(argument, np.float32):
                words.append(struct.pack("<If", 0, argument))
            else:
                words.append(struct.pack("<II", 0, argument))
        words += [array.tobytes() for array in call.arrays]
    (folder / "calls.bin").write_bytes(b"".join(words))
    (folder / "results.bin").unlink(missing_ok=True)
    result = subprocess.run(
        [*emulator.command(emulator.find(), runner), *flags],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, f"kernel runner: status {result.returncode}\n{result.stdout}{result.stderr}"
    image = (folder / "results.bin").read_bytes()
    results = []
    offset = 4
    for call in calls:
        offset += 4 + 8 * ARGUMENTS
        arrays = []
        for array in call.arrays:
            arrays.append(np.frombuffer(image, array.dtype, array.size, offset).reshape(array.shape))
            offset += array.nbytes
        results.append(arrays)
    return results


def count_instructions(plugin: Path, runner: Path, call: Call, folder: Path) -> int:
    """Instructions that one call of a kernel takes on the emulated core, exactly."""
    code = MachineCode(runner)
    [start] = [function.start for function in code.functions.values() if function.name == call.kernel]
    output = folder / "pairs"
    run_core(runner, [call], folder, "-plugin", f"{plugin},out={output},phase={start:x}")
    count = 0
    for line in output.read_text().splitlines():
        phase, _, *_, first, last, times = line.split()
        if phase == "0":
            address, length = int(first, 16), 1
            while address != int(last, 16):
                address = code.instruction(address).end
                length += 1
            count += length * int(times)
    return count
