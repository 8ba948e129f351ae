"""The console's number formats against Python's, which microgpt.py prints with."""

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Programs
from console import altered
from hypothesis import given
from hypothesis import strategies as st

STUB = """
#include "board/board.h"
static char text[256];
static uint32_t length;
void board_console_write(const char *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) text[length++] = bytes[i];
}
const char *taken(void) { text[length] = 0; length = 0; return text; }
"""

Print = Callable[..., str]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Print:
    """Function that calls a print function of src_c/text/print.c and returns what it wrote."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "stub.c").write_text(STUB)
    sources = [ROOT / "src_c/text/print.c", ROOT / "src_c/math/math32.c", folder / "stub.c"]
    words = ["gcc", "-std=c17", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'src_c'}", "-o", "console.so", *sources, "-lm"]
    subprocess.run(words, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "console.so"))
    library.taken.restype = ctypes.c_char_p

    def call(name: str, *arguments: object) -> str:
        getattr(library, name)(*arguments)
        return library.taken().decode()

    return call


@given(st.floats(min_value=0, max_value=2**27, exclude_max=True, width=32))
def test_four_decimals_round_as_python_rounds(printed: Print, value: float) -> None:
    assert printed("print_fixed", ctypes.c_float(value), 4) == f"{value:.4f}"


@pytest.mark.parametrize(
    "value", [0.0, 1e-45, 1e-5, 4.9999e-5, 0.00005, 0.03125, 0.09375, 0.99995, 0.99996, 1.5, 9.99996, 99.99999, 3.36597]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_four_decimals_at_ties_and_carries(printed: Print, value: float, sign: int) -> None:
    value = float(np.float32(sign * value))
    assert printed("print_fixed", ctypes.c_float(value), 4) == f"{value:.4f}"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_says_so(printed: Print, value: str) -> None:
    assert printed("print_fixed", ctypes.c_float(float(value)), 4) == value


@given(st.integers(0, 2**32 - 1) | st.integers(0, 2**32 // 10).map(lambda tens: 10 * tens), st.integers(1, 12))
def test_integers_are_aligned_as_python_aligns(printed: Print, value: int, width: int) -> None:
    assert printed("print_unsigned", ctypes.c_uint32(value), ctypes.c_uint32(width)) == f"{value:{width}d}"


@given(st.integers(0, 2**32 - 1))
def test_checksums_have_eight_digits(printed: Print, value: int) -> None:
    assert printed("print_hex", ctypes.c_uint32(value)) == f"{value:08x}"


@given(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
def test_characters_come_out_as_utf8(printed: Print, character: str) -> None:
    assert printed("print_character", ctypes.c_uint32(ord(character))) == character


Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_with(programs: Programs, tmp_path: Path) -> Build:
    """Function that runs the program with another learner_step(), whose body is C code."""

    def run(code: str, typed: str = "", **chosen: object) -> subprocess.CompletedProcess[str]:
        learner = (ROOT / "src_c/core/learner.c").read_text().replace("float learner_step(", "float own_step(")
        learner += f"float learner_step(struct learner *learner) {{\n{code}\n}}\n"
        program = altered(programs, tmp_path, {"core/learner.c": learner}, **chosen)
        return subprocess.run([program], input=typed, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize(("loss", "shown"), [('__builtin_nanf("")', "nan"), ("__builtin_inff()", "inf")])
def test_a_loss_that_is_not_finite_ends_the_program(loss: str, shown: str, run_with: Build) -> None:
    """No data set was found that makes one, so a learner that returns it stands in for ours."""
    done = run_with(f"return ++learner->step == 3 ? {loss} : 2.5f;")
    assert done.stdout.splitlines()[-1] == f"step    3 / 1000 | loss {shown}"
    assert done.stderr == "microgpt: the loss is not finite; lr= may be too large\n"
    assert done.returncode == 1


def test_a_loss_that_is_not_finite_is_an_error_to_who_asked_for_it(run_with: Build) -> None:
    """The program goes on, without the model that is spoiled."""
    code = """
        static int runs;
        runs += learner->step == 0;
        return ++learner->step == 3 && runs == 2 ? __builtin_nanf("") : 2.5f;
    """
    done = run_with(code, "set seed=1\ntrain\nloss emma\ninfo\n", console="yes", samples=1)
    after = done.stdout.split("weights crc32: ")[1]
    assert "error: the loss is not finite; lr= may be too large\n> error: there is no model yet" in after
    assert "model: none yet\nok\n" in after
