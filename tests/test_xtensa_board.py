"""Start-up, register windows and exceptions on the emulated core, shown by small programs."""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import Programs
from cross import Cross, program
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.firmware.elf import addresses, opened
from mgbuild.plan.sources import sources

PRELUDE = """
#include "board/board.h"

static volatile uint32_t result;

__attribute__((unused)) static void print_result(void) {
    char text[9];
    for (int i = 0; i < 8; i++) {
        text[i] = "0123456789abcdef"[result >> (28 - 4 * i) & 15];
    }
    text[8] = '\\n';
    board_console_write(text, sizeof text);
}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def code_of(elf: Path, function: str) -> bytes:
    """The machine code of a function."""
    with opened(elf) as file:
        symbol = file.get_section_by_name(".symtab").get_symbol_by_name(function)[0]
        section = file.get_section(symbol["st_shndx"])
        offset = symbol["st_value"] - section["sh_addr"]
        return section.data()[offset : offset + symbol["st_size"]]


@pytest.fixture
def run(tmp_path: Path, cross: Cross) -> Run:
    """Function that builds C (a program's body and what stands before it) and assembly, and runs them."""
    try:
        emulator.find()
    except UserError as error:
        pytest.skip(str(error))

    def build_and_run(
        body: str,
        before: str = "",
        assembly: str = "",
        entry: str = "_start",
        second_core: str = "",
        cores: int = 1,
        flags: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        source, extra = tmp_path / "program.c", tmp_path / "extra.S"
        source.write_text(f"{PRELUDE}\n{before}\n{program(body, second_core)}")
        extra.write_text(assembly)
        objects = []
        for path in [*sources("board/xtensa", "board/sim", "text"), source, extra]:
            objects.append(cross.object(path, tmp_path / f"{path.name}.o", "-Isrc_c"))
        elf, dataset = tmp_path / "program.elf", tmp_path / "dataset.bin"
        cross.link(elf, "linker/sim.ld", objects, f"--entry={entry}")
        dataset.write_bytes(b"\x78\x56\x34\x12")
        return emulator.capture(elf, dataset, 20, *flags, cores=cores)

    return build_and_run


def recursion(name: str, call: str, argument: str) -> str:
    """Assembly of uint32_t name(uint32_t n): n + (n - 1) + ... + 1, by `call` into itself.

    The caller's own registers up to the callee's first are live across the call, so that a window saved or
    restored wrongly shows in the sum.
    """
    last = int(argument[1:]) - 3  # the last register that the caller keeps
    target = f"a{last + 2}"
    kept = [f"a{register}" for register in range(3, last + 1)]
    save = "\n".join(f"    addi {register}, a2, {index}" for index, register in enumerate(kept))
    check = "\n".join(
        f"    addi {register}, {register}, -{index}\n    bne {register}, a2, 2f" for index, register in enumerate(kept)
    )
    return f"""
    .section .text.{name}, "ax"
    .literal_position
    .balign 4
    .global {name}
    .type {name}, @function
{name}:
    entry a1, 64
    beqz a2, 1f
{save}
    addi {argument}, a2, -1
    movi {target}, {name}
    {call} {target}
{check}
    add a2, a2, {argument}
1:
    retw
2:
    movi a2, -1
    retw
    .size {name}, . - {name}
"""


def test_exit_status_console_and_data_set(run: Run) -> None:
    done = run("uint32_t bytes; result = *(const uint32_t *)board_dataset(&bytes); print_result();\nreturn 7;")
    assert done.stdout == "12345678\n"
    assert done.returncode == 7


def test_start_up_zeroes_bss_and_keeps_data(run: Run) -> None:
    done = run(
        """result = starts++;
        for (int i = 0; i < 1000; i++) { result += zeros[i]; zeros[i] = 0xFFFFFFFF; }
        print_result();
        if (starts < 3) { _start(); }
        return 0;""",
        "void _start(void); static volatile uint32_t zeros[1000]; static volatile uint32_t starts = 1;",
    )
    assert done.stdout == "00000001\n00000002\n"


# A loader that leaves the core as no loader should: FPU rounding towards zero with every flag up, another window,
# interrupts let through.
HOSTILE_LOADER = """
    .section .text.hostile_loader, "ax"
    .literal_position
    .balign 4
    .global hostile_loader
    .type hostile_loader, @function
hostile_loader:
    movi a2, 1
    wsr.cpenable a2
    rsync
    wur.fcr a2
    movi a2, 0xF80
    wur.fsr a2
    movi a2, -1
    wsr.intenable a2
    rotw 3
    movi a2, _start
    jx a2
    .size hostile_loader, . - hostile_loader

    .section .text.special, "ax"
    .balign 4
    .global fpu
    .type fpu, @function
fpu:
    entry a1, 16
    rur.fcr a2
    rur.fsr a3
    or a2, a2, a3
    retw
    .size fpu, . - fpu
    .balign 4
    .global intenable
    .type intenable, @function
intenable:
    entry a1, 16
    rsr.intenable a2
    retw
    .size intenable, . - intenable
"""


WSR_MEMCTL_A0, ISYNC, LOOPS = b"\x00\x61\x13", b"\x00\x20\x00", 0x76  # ISA reference manual; MEMCTL is register 97


@pytest.mark.parametrize("program", ["esp32", "sim"])
@pytest.mark.parametrize("entry", ["_start", "start_second"])
def test_the_loop_buffer_is_off_before_the_first_loop(entry: str, program: str, programs: Programs) -> None:
    """ESP-IDF: bootloader_esp32.c, XCHAL_ERRATUM_572. No emulator has that buffer, so the code itself is read."""
    elf = programs.esp32() / "firmware.elf" if program == "esp32" else programs.sim()[0]
    start = code_of(elf, entry)
    written = start.index(WSR_MEMCTL_A0)
    assert start[written + 3 :].startswith(ISYNC)
    zero = max(start.rfind(movi_0, 0, written) for movi_0 in (b"\x02\xa0\x00", b"\x0c\x00"))
    assert zero >= 0
    assert b"\x02\xa0" not in start[zero + 3 : written], "a0 holds something else by then"
    assert entry == "start_second" or start.index(LOOPS) > written


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("fpu()", 0),
        ("intenable()", 0),
    ],
)
def test_start_up_relies_on_nothing_that_the_loader_left(what: str, value: int, run: Run) -> None:
    done = run(
        f"result = {what}; print_result(); return 0;",
        "uint32_t fpu(void), intenable(void);",
        HOSTILE_LOADER,
        entry="hostile_loader",
    )
    assert int(done.stdout, 16) == value


def test_text_longer_than_a_page_arrives_whole(run: Run) -> None:
    done = run(
        "for (int i = 0; i < 9000; i++) { text[i] = (char)('a' + (i & 15)); }\n"
        "board_console_write(text, sizeof text); return 0;",
        "static char text[9000];",
    )
    assert done.stdout == ("abcdefghijklmnop" * 563)[:9000]


@pytest.mark.parametrize(("call", "argument"), [("callx4", "a6"), ("callx8", "a10"), ("callx12", "a14")])
def test_a_hundred_windows_deep(run: Run, call: str, argument: str) -> None:
    done = run(
        "result = 0; for (uint32_t n = 0; n <= 100; n++) { result += sum(n); }\nprint_result(); return 0;",
        "uint32_t sum(uint32_t n);",
        recursion("sum", call, argument),
    )
    assert int(done.stdout, 16) == sum(n * (n + 1) // 2 for n in range(101))


def test_a_hundred_calls_deep_with_floats(run: Run) -> None:
    def deep(n: int, x: float, sign: int) -> float:
        return x if n == 0 else deep(n - 1, x + 0.5, -sign) + sign * n * x

    done = run(
        "result = (uint32_t)(int32_t)deep(100, 1.0f, 1); print_result(); return 0;",
        """static __attribute__((noinline)) float deep(int n, float x, int sign) {
            if (n == 0) { return x; }
            float rest = deep(n - 1, x + 0.5f, -sign);
            return rest + (float)(sign * n) * x;
        }""",
    )
    assert int(done.stdout, 16) == int(deep(100, 1.0, 1)) & 0xFFFFFFFF


MEMORY_FUNCTIONS = """#include <stddef.h>
void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
int memcmp(const void *one, const void *other, size_t length);
static char text[] = "0123456789\\n";"""

# What is done to the digits from 0 to 9, and what they are then.
MEMORY_CASES = [
    ("memcpy(text + 5, text + 1, 4);", "0123412349"),
    ("memcpy(text + 4, text, 0);", "0123456789"),
    ("memmove(text + 2, text, 6);", "0101234589"),
    ("memmove(text, text + 2, 6);", "2345676789"),
    ("memmove(text, text, 10);", "0123456789"),
    ("memmove(text + 2, text, 0);", "0123456789"),
    ("memset(text + 1, 'x' + 256, 3);", "0xxx456789"),
    ("memset(text, 'x', (0));", "0123456789"),
    ("if (memcpy(text + 1, text + 2, 1) == text + 1) text[9] = '+';", "022345678+"),
    ("if (memmove(text + 1, text, 2) == text + 1) text[9] = '+';", "001345678+"),
    ("if (memmove(text, text + 1, 2) == text) text[9] = '+';", "122345678+"),
    ("if (memset(text + 1, '-', 1) == text + 1) text[9] = '+';", "0-2345678+"),
    ('if (memcmp("ab1", "ab2", 3) < 0) text[0] = \'+\';', "+123456789"),
    ('if (memcmp("ab\\xff", "ab\\x01", 3) > 0) text[0] = \'+\';', "+123456789"),
    ('if (memcmp("ab1", "ab2", 2) == 0) text[0] = \'+\';', "+123456789"),
    ('if (memcmp("a", "b", 0) == 0) text[0] = \'+\';', "+123456789"),
]


def test_what_compilers_call_of_their_own_accord(run: Run) -> None:
    """Called here by name; which of them a compiler calls depends on its version."""
    reset = "for (int i = 0; i < 10; i++) text[i] = (char)('0' + i);"
    body = "\n".join(f"{reset}\n{case}\nboard_console_write(text, 11);" for case, _ in MEMORY_CASES)
    done = run(f"{body}\nreturn 0;", MEMORY_FUNCTIONS)
    assert done.stdout.split() == [text for _, text in MEMORY_CASES]


REGISTERS = [
    *("PC", "PS", "A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15"),
    *("SAR", "EXCCAUSE", "EXCVADDR", "LBEG", "LEND", "LCOUNT"),
]


def panic_of(
    done: subprocess.CompletedProcess[str], core: str = "0"
) -> tuple[str, dict[str, int], list[tuple[int, int]]]:
    """What a panic names as its cause, the registers, and the backtrace: pairs of program counter and stack pointer."""
    found = re.fullmatch(
        rf"\nGuru Meditation Error: Core  ({core}) panic'ed \((.*)\)\. Exception was unhandled\.\n\n"
        r"Core  \1 register dump:\n((?:.+\n)+)\nBacktrace:(.*)\n",
        done.stdout,
    )
    assert found, done.stdout
    assert done.returncode == 70
    _, cause, dump, frames = found.groups()
    registers = {name: int(value, 16) for name, value in re.findall(r"(\w+) *: (0x[0-9a-f]{8})", dump)}
    assert list(registers) == REGISTERS
    backtrace = [tuple(int(word, 16) for word in frame.split(":")) for frame in frames.split() if ":" in frame]
    return cause, registers, backtrace


@pytest.mark.parametrize(
    ("body", "cause", "expected"),
    [
        ('__asm__ volatile("ill");', "IllegalInstruction", {"EXCCAUSE": 0}),
        ("result = 5 / result;", "IntegerDivideByZero", {"EXCCAUSE": 6}),
        (
            "result = *(volatile uint32_t *)0xF0000000;",
            "LoadStorePIFAddrError",
            {"EXCCAUSE": 15, "EXCVADDR": 0xF0000000},
        ),
        (
            "void (*volatile there)(void) = (void (*)(void))0xE0000000; there();",
            "InstrPIFAddrError",
            {"EXCCAUSE": 14, "PC": 0xE0000000},
        ),
        (
            '__asm__ volatile("movi a2, 0\\n wsr.cpenable a2\\n rsync\\n const.s f0, 1");',
            "Coprocessor0Disabled",
            {"EXCCAUSE": 32},
        ),
        (  # PS.UM off: the kernel vector
            '__asm__ volatile("movi a2, 0x40000\\n wsr.ps a2\\n rsync\\n ill");',
            "IllegalInstruction",
            {"EXCCAUSE": 0},
        ),
        (  # PS.EXCM on
            '__asm__ volatile("movi a2, 0x4003F\\n wsr.ps a2\\n rsync\\n ill");',
            "Double exception",
            {"EXCCAUSE": 0},
        ),
        ('__asm__ volatile("break 1, 1");', "Debug exception", {}),
        ('board_abort("something is wrong");', "something is wrong", {}),
        (
            '__asm__ volatile("movi a2, 0x1234\\n movi a7, 0x4321\\n movi a15, 0x777\\n ill" ::: "a2", "a7", "a15");',
            "IllegalInstruction",
            {"A2": 0x1234, "A7": 0x4321, "A15": 0x777},
        ),
    ],
)
def test_an_exception_ends_in_a_panic_that_names_it(run: Run, body: str, cause: str, expected: dict[str, int]) -> None:
    named, registers, backtrace = panic_of(run(f"{body}\nprint_result(); return 0;"))
    assert named == cause
    assert expected.items() <= registers.items()
    assert backtrace[0] == (registers["PC"], registers["A1"])


def test_a_stack_that_is_gone_still_gives_a_panic(run: Run) -> None:
    done = run('__asm__ volatile("movi a1, 0xF0000000\\n callx8 %0" :: "r"(print_result)); return 0;')
    cause, _, backtrace = panic_of(done)
    assert cause in ("Double exception", "LoadStorePIFAddrError")
    assert backtrace


# Calls itself through a variable, for a compiler may copy what calls itself into itself.
DEEP = """static int deep(int n);
static int (*volatile deeper)(int) = deep;
static int deep(int n) {
    volatile char block[100];
    block[0] = (char)n;
    if (n == 0) {
        LAST;
        return 1;
    }
    const int rest = deeper(n - 1);
    return rest + block[0];
}"""


@pytest.mark.parametrize("depth", [1, 3, 6, 13, 25])
def test_the_backtrace_names_every_caller(run: Run, depth: int) -> None:
    """With few callers their windows are still in registers, with many they have been saved to the stack."""
    done = run(f"return deeper({depth});", DEEP.replace("LAST", '__asm__ volatile("ill")'))
    _, _, backtrace = panic_of(done)
    addresses = [pc for pc, _ in backtrace]
    assert len(addresses) == depth + 4  # deep(depth) to deep(0), app_status, board_start, _start
    assert len(set(addresses[1 : depth + 1])) == 1, "all but the last call themselves from the same place"
    pointers = [sp for _, sp in backtrace]
    assert pointers == sorted(set(pointers))


def test_a_stack_that_overflows_is_caught_before_it_overwrites_anything(run: Run) -> None:
    done = run("return deeper(1000000);", DEEP.replace("LAST", "(void)0"))
    cause, _, backtrace = panic_of(done)
    assert cause == "Stack overflow"
    assert len({pc for pc, _ in backtrace[1:]}) == 1


def test_a_loop_that_was_interrupted_does_not_go_on_in_the_panic(run: Run) -> None:
    """The handler runs with LCOUNT zero, though a panic inside a loop leaves more rounds to go."""
    body = '__asm__ volatile("movi a8, 50\\n loopnez a8, 1f\\n nop\\n ill\\n nop\\n 1:" ::: "a8");'
    _, registers, _ = panic_of(run(f"{body}\nreturn 0;"))
    assert registers["LCOUNT"] == 49


# ---- The second core ------------------------------------------------------------------------------------------------

START = "if (!board_start_second_core()) { return 1; }\n"
READY = "__attribute__((unused)) static volatile bool ready, go;"


def test_the_second_core_works_beside_the_first_on_the_same_memory(run: Run) -> None:
    """A number goes to and fro: each core adds one to what the other has left."""
    before = """static volatile uint32_t ball;
        static void play(uint32_t player) {
            for (uint32_t seen = ball; seen < 20000; seen = ball) {
                if (seen % 2 == player) { ball = seen + 1; }
            }
        }"""
    body = f"{START} play(0); result = ball; print_result(); return 0;"
    done = run(body, before, second_core="play(1);", cores=2)
    assert int(done.stdout, 16) == 20000


@pytest.mark.parametrize("what", ["fpu()", "intenable()"])
def test_the_second_core_begins_in_the_state_of_the_first(what: str, run: Run) -> None:
    body = f"{START} while (!ready) {{}} print_result(); return 0;"
    before = f"uint32_t fpu(void), intenable(void);\n{READY}"
    second = f"result = {what}; ready = true;"
    done = run(body, before, HOSTILE_LOADER, second_core=second, cores=2)
    assert int(done.stdout, 16) == 0


def test_the_second_core_waits_until_it_is_called(run: Run) -> None:
    body = f"""
        for (volatile int i = 0; i < 1000000; i++) {{}}
        result = ready; print_result();
        {START} while (!ready) {{}} result = ready; print_result(); return 0;"""
    done = run(body, READY, second_core="ready = true;", cores=2)
    assert done.stdout.split() == ["00000000", "00000001"]


def test_a_machine_says_how_many_cores_it_has(run: Run) -> None:
    body = "result = board_has_second_core(); print_result(); return 0;"
    assert [run(body, cores=cores).stdout for cores in (1, 2)] == ["00000000\n", "00000001\n"]


def test_a_crash_of_the_second_core_ends_the_program_and_names_it(run: Run) -> None:
    body = f"{START} for (;;) {{}}"
    done = run(body, second_core='__asm__ volatile("movi a2, 0x1234\\n ill" ::: "a2");', cores=2)
    cause, registers, backtrace = panic_of(done, core="1")
    assert (cause, registers["A2"]) == ("IllegalInstruction", 0x1234)
    assert len(backtrace) == 3  # app_second_core, board_start_on_second_core, start_second


def test_the_backtrace_of_the_second_core_follows_its_own_stack(run: Run) -> None:
    before = DEEP.replace("LAST", '__asm__ volatile("ill")')
    _, _, backtrace = panic_of(run(f"{START} for (;;) {{}}", before, second_core="deeper(25);", cores=2), core="1")
    assert len(backtrace) == 25 + 4


def test_a_stack_of_the_second_core_that_overflows_is_caught(run: Run, tmp_path: Path) -> None:
    """At its own guard, before it runs through the stack of the first and into that one's."""
    before = DEEP.replace("LAST", "(void)0")
    done = run(f"{START} for (;;) {{}}", before, second_core="deeper(1000000);", cores=2)
    cause, registers, _ = panic_of(done, core="1")
    symbols = addresses(tmp_path / "program.elf")
    assert cause == "Stack overflow"
    assert symbols["second_stack_bottom"] <= registers["A1"] < symbols["second_stack_top"]


def test_of_two_cores_that_crash_at_once_one_is_explained_and_whole(run: Run) -> None:
    """There is one place for registers and one console: however the two meet, they do not mix. Several times."""
    body = f"""{START} while (!ready) {{}} go = true; __asm__ volatile("movi a2, 0x100\\n ill" ::: "a2"); return 0;"""
    second = 'ready = true; while (!go) {} __asm__ volatile("movi a2, 0x101\\n ill" ::: "a2");'
    for _ in range(10):
        done = run(body, READY, second_core=second, cores=2)
        cause, registers, _ = panic_of(done, core="[01]")
        assert cause == "IllegalInstruction"
        assert f"Core  {registers['A2'] - 0x100} panic'ed" in done.stdout
