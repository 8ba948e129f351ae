"""WebAssembly modules of the build, run by Node; see tests/page."""

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Programs
from kernels import Call
from mgbuild.errors import UserError
from mgbuild.node import program as node_program
from mgbuild.plan import toolchain

RUN_TIMEOUT = 120


def module(programs: Programs, name: str) -> Path:
    """Path of one of the build's modules; the test is skipped where there is no toolchain for it."""
    try:
        toolchain.find_wasm()
    except UserError as error:
        pytest.skip(str(error))
    return programs.product(f"wasm/{name}")


def node(script: str, *words: str | Path) -> Any:
    """What a script of tests/page prints, from JSON."""
    result = subprocess.run(
        [node_program(), str(ROOT / "tests/page" / script), *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        timeout=RUN_TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def run_module(module: Path, calls: Sequence[Call], folder: Path) -> list[list[np.ndarray]]:
    """Carry out calls of kernels in a module; returns each call's arrays as the kernel left them."""

    def encoded(argument: Any) -> str | int | float:
        if isinstance(argument, np.ndarray):
            return base64.b64encode(argument.tobytes()).decode()
        return float(argument) if isinstance(argument, np.float32) else int(argument)

    listed = [
        {"kernel": call.kernel, "arguments": [encoded(argument) for argument in call.arguments]} for call in calls
    ]
    (folder / "calls.json").write_text(json.dumps(listed))
    return [
        [
            np.frombuffer(base64.b64decode(text), array.dtype).reshape(array.shape)
            for text, array in zip(texts, call.arrays, strict=True)
        ]
        for texts, call in zip(node("run_kernels.mjs", module, folder / "calls.json"), calls, strict=True)
    ]
