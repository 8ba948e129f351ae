"""The bound of the stack: small programs with known answers, and the mark that runs leave on the emulated core."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from conftest import Link, Programs, with_settings
from cross import Cross
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.firmware import stack
from mgbuild.firmware.elf import absolute_symbols
from mgbuild.plan.sources import KERNELS, sources

SAVED = 16  # below the last function


def leaf(frame: int) -> str:
    return f"entry a1, {frame}; retw"


def call(callee: str) -> str:
    """A call as compilers make it; GNU ld for this machine relocates no direct ones."""
    return f"movi a8, {callee}; callx8 a8"


def caller(frame: int, *callees: str) -> str:
    return f"entry a1, {frame};" + ";".join(map(call, callees)) + "; retw"


def refusal(elf: Path, **indirect: str) -> str:
    with pytest.raises(UserError) as caught:
        stack.bound(elf, "main", indirect)
    return str(caught.value)


def test_a_leaf(link: Link) -> None:
    assert stack.bound(link(main=leaf(48)), "main").bytes == 48 + SAVED


@pytest.mark.parametrize("frame", [16, 4096, 32760])
def test_frames_of_every_size(link: Link, frame: int) -> None:
    assert stack.bound(link(main=leaf(frame)), "main").bytes == frame + SAVED


def test_the_longest_of_several_chains_is_taken_and_named(link: Link) -> None:
    elf = link(main=caller(32, "a", "b"), a=leaf(400), b=caller(64, "c"), c=caller(48, "d"), d=leaf(320))
    found = stack.bound(elf, "main")
    assert found.bytes == 32 + 64 + 48 + 320 + SAVED
    assert str(found) == "main 32 > b 64 > c 48 > d 320"


@pytest.mark.parametrize("code", [0x85, 0x95, 0xA5, 0xB5], ids=["call0", "call4", "call8", "call12"])
def test_every_kind_of_direct_call(link: Link, code: int) -> None:
    """Encoded by hand, and so is retw behind it: three words on from the one behind, which is where f begins."""
    elf = link(main=f"entry a1, 32; .byte {code}, 0, 0, 0x90, 0, 0", f=leaf(80))
    assert stack.bound(elf, "main").bytes == 32 + 80 + SAVED


@pytest.mark.parametrize("register", ["callx0 a8", "callx4 a8", "callx8 a8", "callx12 a8"])
def test_every_kind_of_call_through_a_register(link: Link, register: str) -> None:
    elf = link(main=f"entry a1, 32; movi a8, f; {register}; retw", f=leaf(80))
    assert stack.bound(elf, "main").bytes == 32 + 80 + SAVED


def test_calls_through_a_literal(link: Link) -> None:
    elf = link(
        main="entry a1, 32; movi a8, f; callx8 a8; movi a6, g; mov a9, a6; callx8 a9; retw", f=leaf(64), g=leaf(96)
    )
    assert stack.bound(elf, "main").bytes == 32 + 96 + SAVED


def test_a_pointer_that_was_put_aside_in_the_frame(link: Link) -> None:
    body = f"entry a1, 64; movi a8, f; s32i a8, a1, 16; {call('g')}; l32i a8, a1, 16; callx8 a8; retw"
    assert stack.bound(link(main=body, f=leaf(512), g=leaf(32)), "main").bytes == 64 + 512 + SAVED


def test_both_functions_that_a_pointer_may_hold_count(link: Link) -> None:
    body = "entry a1, 32; movi a8, f; beqz a2, 1f; movi a8, g; 1:; callx8 a8; retw"
    assert stack.bound(link(main=body, f=leaf(48), g=leaf(640)), "main").bytes == 32 + 640 + SAVED


def test_a_jump_to_another_function_is_a_call(link: Link) -> None:
    assert stack.bound(link(main="movi a2, 1; j f", f=leaf(80)), "main").bytes == 80 + SAVED


def test_code_behind_a_loop_and_a_return_is_read(link: Link) -> None:
    body = f"entry a1, 32; loopnez a2, 2f; bnez a3, 1f; nop; 2:; retw; 1:; {call('f')}; j 2b"
    assert stack.bound(link(main=body, f=leaf(256)), "main").bytes == 32 + 256 + SAVED


@pytest.mark.parametrize(
    ("functions", "circle"),
    [
        ({"main": caller(32, "main")}, "main > main"),
        ({"main": caller(32, "a"), "a": caller(32, "b"), "b": caller(32, "a")}, "a > b > a"),
    ],
)
def test_recursion_is_refused_with_its_circle(link: Link, functions: Mapping[str, str], circle: str) -> None:
    assert f"recursion: {circle};" in refusal(link(**functions))


def test_a_pointer_from_elsewhere_must_be_declared(link: Link) -> None:
    table = ".type table, @object; table: .long f, g; .size table, . - table"
    called = {"f": leaf(64), "g": f"{leaf(160)}; {table}"}
    elf = link(main=caller(32, "a"), a="entry a1, 48; l32i a8, a2, 0; callx8 a8; retw", **called)
    assert re.search(r"^main > a calls through a pointer at 0x[0-9a-f]{8}; declare", refusal(elf))
    assert stack.bound(elf, "main", {"a": "table"}).bytes == 32 + 48 + 160 + SAVED
    assert "there is no table list" in refusal(elf, a="list")


def test_a_pointer_does_not_outlive_a_call_that_may_change_its_register(link: Link) -> None:
    elf = link(main=f"entry a1, 32; movi a10, f; {call('f')}; callx8 a10; retw", f=leaf(32))
    assert "calls through a pointer" in refusal(elf)


@pytest.mark.parametrize("change", ["movsp a1, a2", "addi a1, a1, -64", "sub a1, a1, a2", "mov.n a1, a2"])
def test_a_stack_pointer_that_moves_is_refused(link: Link, change: str) -> None:
    assert "main moves the stack pointer" in refusal(link(main=f"entry a1, 32; {change}; retw"))


def test_a_call_to_nowhere_is_refused(link: Link) -> None:
    assert "where no function begins" in refusal(link(main="entry a1, 32; movi a8, 0x5000; callx8 a8; retw"))


def test_a_kilobyte_more_in_one_frame_makes_the_stack_a_kilobyte_larger(link: Link) -> None:
    for frame in (208, 208 + 1024):  # so that the first is whole guards long, as the second's guard needs it
        cores = {"_start": caller(32, "deep"), "start_second": caller(48, "deep")}
        found = stack.of_firmware(link(**cores, deep=leaf(frame), panic_entry=leaf(64)))
        assert found.size == 32 + frame + SAVED + stack.GUARD + stack.MARGIN
        assert found.second_size == 48 + frame + SAVED + stack.GUARD + stack.MARGIN
        assert found.linker_flags == (
            f"--defsym=stack_size={found.size}",
            f"--defsym=second_stack_size={found.second_size}",
        )


def test_a_panic_that_needs_more_than_it_has_is_refused(link: Link) -> None:
    def of_panic(frame: int) -> stack.Stack:
        return stack.of_firmware(
            link(_start=leaf(32), start_second=leaf(32), panic_entry=caller(64, "big"), big=leaf(frame))
        )

    assert of_panic(512 - 64 - SAVED).panic.bytes == 512  # linker/sim.ld, panic_stack_size
    with pytest.raises(UserError, match="a panic can use 528 bytes of stack and has 512: panic_entry 64 > big 448"):
        of_panic(512 - 64)


def test_stacks_are_read_as_they_were_written(link: Link, tmp_path: Path) -> None:
    cores = {"_start": caller(32, "deep"), "start_second": leaf(80)}
    found = stack.of_firmware(link(**cores, deep=leaf(48), panic_entry=leaf(64)))
    path = tmp_path / "stack.json"
    path.write_text(found.as_json())
    assert stack.read(path) == found
    for text in ("", "{}", "3", found.as_json().replace("stack_size", "size"), found.as_json()[:-20]):
        path.write_text(text)
        with pytest.raises(UserError, match="says nothing of a stack"):
            stack.read(path)
    with pytest.raises(UserError, match="cannot read"):
        stack.read(tmp_path / "none.json")


@pytest.mark.parametrize("program", ["esp32", "sim"])
def test_a_panic_has_the_stack_that_it_needs(program: str, programs: Programs) -> None:
    elf = programs.esp32() / "firmware.elf" if program == "esp32" else programs.sim()[0]
    assert stack.bound(elf, stack.PANIC_ROOT).bytes <= absolute_symbols(elf)["panic_stack_size"]


# From the ROM of revision 3, disassembled: each begins with `entry a1, 32`. ets_delay_us() calls another with such a
# frame, and rom_i2c_writeReg() one through a table in RAM, of which nothing is known: room for seven such frames more.
ROM_FRAME = 32
ROM_FRAMES = {"rom_delay_us": 2, "rom_i2c_writeReg": 8}


def test_functions_in_rom_count_with_what_they_take_at_least() -> None:
    for name, bytes_taken in stack.ROM_STACK.items():
        assert bytes_taken >= ROM_FRAMES.get(name, 1) * ROM_FRAME, name


def test_the_firmware_has_the_stack_that_it_needs(programs: Programs) -> None:
    folder = programs.esp32()
    found = stack.of_firmware(folder / "firmware.elf")
    assert stack.read(folder / "stack.json") == found
    assert found.program.bytes + stack.GUARD + stack.MARGIN <= found.size
    assert found.second.bytes + stack.GUARD + stack.MARGIN <= found.second_size
    memory = json.loads((folder / "memory.json").read_text())
    assert stack.Stack.from_dict(memory["stack"]) == found
    assert memory["purposes"]["stack"] == found.size
    assert memory["purposes"]["stack of the second core"] == found.second_size
    assert sum(memory["purposes"].values()) == memory["static_ram"]


# Fills the stack of each core before the program, and looks afterwards how far down it was overwritten.
PAINTED_BOARD = """
#define board_start unpainted_start
#define board_start_on_second_core unpainted_start_on_second_core
#include "board/sim/board.c"
#undef board_start
#undef board_start_on_second_core
#include "text/print.h"
extern uint32_t stack_bottom[], stack_top[], second_stack_bottom[], second_stack_top[];
enum { GUARD_WORDS = 16, UNPAINTED = 128 };
static inline __attribute__((always_inline)) void paint(uint32_t *bottom) {
    uint32_t here;
    const uintptr_t end = (uintptr_t)&here - UNPAINTED;
    for (uint32_t *word = bottom + GUARD_WORDS; (uintptr_t)word < end; word++) *word = 0xA5A5A5A5;
}
static void report(const char *label, const uint32_t *bottom, const uint32_t *top) {
    const uint32_t *word = bottom + GUARD_WORDS;
    while (*word == 0xA5A5A5A5) word++;
    print_text(label);
    print_unsigned((uint32_t)((const char *)top - (const char *)word), 1);
    print_text("\\n");
}
_Noreturn void board_start(void) {
    paint(stack_bottom);
    app_begin();
    while (app_turn() != APP_ENDED) {
    }
    report("\\nstack used: ", stack_bottom, stack_top);
    report("second stack used: ", second_stack_bottom, second_stack_top);
    board_exit(app_status());
}
_Noreturn void board_start_on_second_core(void) {
    paint(second_stack_bottom);
    unpainted_start_on_second_core();
}
"""


@pytest.fixture(scope="module", params=["asm", "plain"])
def painted(
    request: pytest.FixtureRequest, programs: Programs, cross: Cross, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The program for the emulated core with either kernels, on that board."""
    folder = tmp_path_factory.mktemp(request.param)
    board = folder / "board.c"
    board.write_text(PAINTED_BOARD)
    parts = sources(
        "core", "math", "math/xtensa", KERNELS[request.param], "text", "board/xtensa", "board/sim", "board/no_flash"
    )
    parts += sources("app", "app/check")
    generated = programs.product("generated/version.h").parent.parent
    flags = ("-Isrc_c", f"-I{generated}", f'-DSETTINGS_FILE="{programs.settings()}"')
    objects = []
    for number, source in enumerate([*(path for path in parts if path != Path("src_c/board/sim/board.c")), board]):
        objects.append(cross.object(source, folder / f"{number}.o", *flags))
    return cross.link(folder / "painted.elf", "linker/sim.ld", objects)


@pytest.mark.parametrize(
    ("shape", "typed", "callers", "longest"),
    [
        ({}, "", ("board_start", "app_turn", "run_turn"), "learner_step"),
        ({"n_layer": 2, "n_embd": 24, "n_head": 3}, "", ("board_start", "app_turn", "run_turn"), "learner_step"),
        ({"n_embd": 20, "n_head": 2, "block_size": 7}, "", ("board_start", "app_turn", "run_turn"), "learner_step"),
        (
            {"n_embd": 20, "n_head": 2, "block_size": 7},
            "check",
            ("board_start", "app_turn", "command_turn"),
            "check_turn",
        ),
        ({"n_embd": 512, "n_layer": 8}, "", ("board_start", "app_begin"), "print_missing_memory"),
    ],
    ids=str,
)
def test_a_run_uses_what_the_bound_says_to_the_word(
    shape: Mapping[str, int],
    typed: str,
    callers: Sequence[str],
    longest: str,
    painted: Path,
    programs: Programs,
    tmp_path: Path,
) -> None:
    """A model that fits is trained, and checked; another is refused. The program's bound is no less than any of it."""
    elf = tmp_path / "program.elf"
    chosen = {"steps": 40, "samples": 5, "console": "yes" if typed else "no", **shape}
    elf.write_bytes(with_settings(painted.read_bytes(), **chosen))
    output = emulator.capture(elf, programs.dataset(), 60, typed=typed).stdout
    used = int(re.search(r"^stack used: (\d+)$", output, re.MULTILINE)[1])
    chain = stack.bound(elf, longest, stack.INDIRECT)
    outer = sum(stack.bound(elf, name, stack.INDIRECT).chain[0][1] for name in callers)
    assert outer + chain.bytes <= stack.bound(elf, stack.ROOT, stack.INDIRECT).bytes
    # Of the chain that is bounded, and that every such run takes, nothing is written below the last function's frame,
    # for its registers are never spilled; nor in that frame, if it is nothing but the place where a caller's would be.
    # Another chain, as long but with one call more, may write there.
    last = chain.chain[-1]
    unwritten = SAVED + (last[1] if last in (("fmaf", SAVED), ("shape_parameters", 2 * SAVED)) else 0)
    assert outer + chain.bytes - unwritten <= used <= outer + chain.bytes, chain


@pytest.mark.parametrize("shape", [{}, {"n_layer": 2, "n_embd": 24, "n_head": 3}], ids=str)
def test_the_second_core_uses_no_more_than_its_bound_says(
    shape: Mapping[str, int], painted: Path, programs: Programs, tmp_path: Path
) -> None:
    """What lies nearest to the top, where the board's own frame is, cannot be painted."""
    elf = tmp_path / "program.elf"
    elf.write_bytes(with_settings(painted.read_bytes(), steps=40, samples=5, cores=2, **shape))
    output = emulator.capture(elf, programs.dataset(), 60, cores=2).stdout
    used = int(re.search(r"^second stack used: (\d+)$", output, re.MULTILINE)[1])
    unpainted = 128 + 64  # and the frames above
    assert 128 < used <= max(unpainted, stack.bound(elf, stack.SECOND_ROOT, stack.INDIRECT).bytes)
