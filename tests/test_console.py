"""The console's number formats against Python's, which microgpt.py prints with."""

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Programs
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


LEARNER = """
#include "board/board.h"
#include "core/learner.h"
const char dataset_start[4], dataset_end[1];
enum dataset_error dataset_open(const void *address, uint32_t capacity, struct dataset *dataset) {
    (void)address, (void)capacity;
    dataset->documents = 1;
    dataset->vocab_size = 27;
    return DATASET_OK;
}
uint32_t learner_checksum(const struct learner *learner) {
    (void)learner;
    return 0;
}
"""

Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_with(programs: Programs, tmp_path: Path) -> Build:
    """Function that runs the program with C code in place of the learner, and of the board where `board` is false."""

    def run(code: str, board: bool = True) -> subprocess.CompletedProcess[str]:
        (tmp_path / "program.c").write_text(LEARNER + code)
        parts = ["app/main.c", "app/refusal.c", "app/settings.S", "core/plan.c", "core/shape.c", "text/print.c"]
        parts += ["math/math32.c", *["board/host/board.c"] * board]
        sources = [*(ROOT / "src_c" / part for part in parts), tmp_path / "program.c"]
        flags = [f"-I{ROOT / 'src_c'}", f'-DSETTINGS_FILE="{programs.settings()}"']
        subprocess.run(["gcc", "-std=c17", "-O1", *flags, "-o", "program", *sources, "-lm"], cwd=tmp_path, check=True)
        return subprocess.run([tmp_path / "program"], capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize(("loss", "shown"), [('__builtin_nanf("")', "nan"), ("__builtin_inff()", "inf")])
def test_a_loss_that_is_not_finite_ends_the_program(loss: str, shown: str, run_with: Build) -> None:
    """No data set was found that makes one, so a learner that returns it stands in for ours."""
    done = run_with(f"""
        void learner_begin(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                           const struct dataset *dataset, const struct recipe *recipe) {{
            (void)learner, (void)request, (void)banks, (void)dataset, (void)recipe;
        }}
        float learner_step(struct learner *learner) {{ return ++learner->step == 3 ? {loss} : 2.5f; }}
        uint32_t learner_complete(struct learner *learner, uint8_t *tokens, uint32_t given, float temperature) {{
            (void)learner, (void)tokens, (void)given, (void)temperature;
            return 0;
        }}
    """)
    assert done.stdout.splitlines()[-1] == f"step    3 / 1000 | loss {shown}"
    assert done.stderr == "microgpt: the loss is not finite; lr= may be too large\n"
    assert done.returncode == 1


def test_a_key_pressed_before_it_was_asked_for_starts_nothing(run_with: Build) -> None:
    """Keys during training and among the 20 samples, then one at the third name after them; the next run is cut off."""
    done = run_with(
        """
        #include <stdio.h>
        #include <stdlib.h>

        static uint32_t typed, runs, samples;
        static uint32_t memory[50000];

        void learner_begin(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                           const struct dataset *dataset, const struct recipe *recipe) {
            (void)banks, (void)dataset, (void)recipe;
            learner->model.shape = request->shape;
            if (++runs == 2) {
                exit(0);
            }
        }
        float learner_step(struct learner *learner) {
            typed += ++learner->step == 500;
            return 2.5f;
        }
        uint32_t learner_complete(struct learner *learner, uint8_t *tokens, uint32_t given, float temperature) {
            (void)learner, (void)tokens, (void)given, (void)temperature;
            ++samples;
            typed += samples == 7 || samples == 20 + 3;
            return 0;
        }

        bool board_is_interactive(void) { return true; }
        bool board_key_pressed(void) {
            const bool pressed = typed > 0;
            typed = 0;
            return pressed;
        }
        void board_console_write(const char *text, uint32_t length) { fwrite(text, 1, length, stdout); }
        void board_feed_watchdog(void) {}
        uint32_t board_cycles(void) { return 0; }
        uint32_t board_cycles_per_millisecond(void) { return 0; }
        uint32_t board_random(void) { abort(); }
        const void *board_dataset(uint32_t *capacity) { *capacity = 0; return dataset_start; }
        uint32_t board_memory(uint32_t bank, void **start) { *start = memory; return bank == 0 ? sizeof memory : 0; }
        void board_exit(int status) { exit(status); }
        void board_abort(const char *reason) { (void)reason; abort(); }
        int main(void) { board_exit(app_main()); }
        """,
        board=False,
    )
    after = done.stdout.split("# more names; a key starts over with the next seed\n")[1]
    assert after.startswith("\n\n\n# seed 43\n"), "three names, which are empty here, and then the next run"
