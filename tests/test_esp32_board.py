"""The chip's board code on an emulated ESP32, booted from its ROM: what it reports, and how it ends and starts again.

No emulator shows the crystal, the PLL, UART rates, or the watchdogs of the ROM; README says what that leaves open.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Programs
from console import answers, talk
from cross import Cross, program
from mgbuild.device.decode import Decoder
from mgbuild.emulated import emulator
from mgbuild.firmware import image
from mgbuild.plan import configure, options
from mgbuild.plan.sources import sources

REGISTERS = '#include "board/esp32/registers.h"'
ENDLESS = '__attribute__((noinline, unused)) static void endless(void) { for (;;) { __asm__ volatile(""); } }'
TIMEOUT = 30  # seconds; a boot takes less than one
TYPED_TIMEOUT = 150  # the self-check's million barriers: far more where each core has no CPU of its own
CHIPS_OWN = ("# seed", "# time", "# tokens", "# checkpoint")  # lines that it alone has reason to print

Boot = Callable[..., str]


@pytest.fixture
def boot(tmp_path: Path, esp32_emulator: str, cross: Cross) -> Boot:
    """Function that builds a program's body for the chip, boots it, and returns the console up to a line."""

    def build_and_boot(
        body: str, until: str, before: str = "", timeout: float = TIMEOUT, baud: int = 115200, second_core: str = ""
    ) -> str:
        source = tmp_path / "program.c"
        source.write_text(f'#include "board/board.h"\n#include "text/print.h"\n{before}\n{program(body, second_core)}')
        (tmp_path / "generated").mkdir()
        (tmp_path / "generated/run_config.h").write_text(configure.run_config(options.parse({"baud": str(baud)})))
        parts = sources("board/xtensa", "board/esp32", "text", "math", "math/xtensa")
        objects = []
        (tmp_path / "generated/version.h").write_text(configure.version_header(configure.Version("v1.2-test")))
        for number, path in enumerate([*parts, source]):
            objects.append(cross.object(path, tmp_path / f"{number}.o", "-Isrc_c", f"-I{tmp_path}"))
        elf, firmware, factory = (tmp_path / name for name in ("program.elf", "firmware.bin", "factory.bin"))
        cross.link(elf, "linker/esp32.ld", objects)
        firmware.write_bytes(image.firmware_image(elf))
        dataset = tmp_path / "dataset.bin"
        dataset.write_bytes(b"\x78\x56\x34\x12")
        factory.write_bytes(image.factory_image(image.flash_layout(elf), firmware, dataset))
        return emulator.capture_esp32(esp32_emulator, factory, until, timeout)

    return build_and_boot


def special(number: int) -> str:
    """C function special_NUMBER() that reads a special register, some of which clang does not know by name."""
    rsr = f".byte 0x20, {number}, 0x03"  # rsr a2, NUMBER
    return (
        f"\nstatic uint32_t special_{number}(void) {{ uint32_t value; "
        f'__asm__ volatile("{rsr}\\n\\tmov %0, a2" : "=r"(value) : : "a2"); return value; }}'
    )


def functions_named(decoder: Decoder, crash: str) -> list[str]:
    """Functions that the explanation of a crash names; only what was compiled with lines names those too."""
    places = [place.split(": ")[1] for line in crash.splitlines() for place in decoder.explain(line)]
    return [re.split(r"\+| at ", place)[0] for place in places]


def reports(console: str) -> list[str]:
    """The lines about resets, one for each boot."""
    return re.findall(r"^# reset: (.*?)\r?$", console, re.MULTILINE)


def test_boot_reports_chip_clock_and_reset(boot: Boot) -> None:
    console = boot('print_text("running\\n"); return 0;', until="running")
    assert "\n# microgpt-lx6 v1.2-test\n" in console
    assert re.search(r"^# ESP32 revision [0-3], crystal (26|40) MHz, CPU 240 MHz$", console, re.MULTILINE)
    assert reports(console) == ["power-on or EN"]


def test_the_cycle_counter_runs_at_the_reported_clock(boot: Boot) -> None:
    """The wait is the ROM's, which was told the clock: 1,000 microseconds of 240 cycles."""
    body = """
        const uint32_t begin = board_cycles();
        clock_wait_us(1000);
        const uint32_t cycles = board_cycles() - begin;
        const bool near = cycles > 216000 && cycles < 300000;
        print_text(near && board_cycles_per_millisecond() == 240000 ? "right\\n" : "wrong\\n");
        return 0;"""
    assert "\nright\n" in boot(body, until="right", before='#include "board/esp32/clock.h"')


@pytest.mark.parametrize(("baud", "divider"), [(115200, "007002b6"), (921600, "00d00056")])
def test_the_console_keeps_its_rate_at_the_new_clock(boot: Boot, baud: int, divider: str) -> None:
    """80 MHz over the divider, whole part and sixteenths: within 0.1 % of the rate."""
    console = boot(
        'print_hex(read_register(UART0_CLKDIV)); print_text(" divider\\n"); return 0;', divider, REGISTERS, baud=baud
    )
    assert f"\n{divider} divider\n" in console
    sixteenths = (int(divider, 16) & 0xFFFFF) * 16 + (int(divider, 16) >> 20)
    assert 80e6 * 16 / sixteenths == pytest.approx(baud, rel=1e-3)


def test_the_chip_holds_what_the_recorder_saw_written(boot: Boot) -> None:
    """Registers that the emulator keeps, read back while the program runs; tests/test_esp32_bus.py has the sources."""
    expected = {
        "read_register(0x3FF0003C)": 2,  # CPU_PER_CONF: 240 MHz
        "read_register(0x3FF48070) >> 27 & 3": 1,  # SOC_CLK_SEL: PLL
        "read_register(0x3FF4804C)": 0,  # STORE0
        "read_register(0x3FF5F048)": 1 << 31 | 1 << 29 | 1 << 21,  # WDTCONFIG0
        "read_register(0x3FF5F04C) >> 16": 40000,  # WDTCONFIG1
        "read_register(0x3FF5F050)": 10000,  # WDTCONFIG2
        "read_register(0x3FF5F064)": 0,  # WDTWPROTECT: locked
        "read_register(0x3FF5F098)": 1 << 2,  # INT_ENA
        "read_register(0x3FF00144)": 23,  # TG_WDT_LEVEL_INT_MAP
        "special_228()": 1 << 23 | 1 << 19,  # INTENABLE: watchdog, console
        "special_97()": 0,  # MEMCTL
        "special_224()": 1,  # CPENABLE
        "read_register(0x3FF00044) >> 4 & 1": 0,  # CACHE_MASK_DROM0
        "read_register(0x3FF10000)": 0,  # first page of flash, which is seen from its start
        "read_register(0x3FF10000 + 4 * 63)": 63,  # last page
        "read_register(0x3FF10000 + 4 * 64)": 0x100,  # invalid
    }
    body = "".join(f'print_hex({expression}); print_text(" ");\n' for expression in expected)
    console = boot(
        f'{body} print_text("held\\n"); return 0;',
        until=f"{next(iter(expected.values())):08x} ",
        before=REGISTERS + "".join(special(number) for number in (97, 224, 228)),
    )
    words = re.search(r"^((?:[0-9a-f]{8} )+)held$", console, re.MULTILINE)[1].split()
    assert dict(zip(expected, (int(word, 16) for word in words), strict=True)) == expected


def test_the_data_set_is_mapped_from_flash(boot: Boot) -> None:
    body = 'uint32_t bytes; print_hex(*(const uint32_t *)board_dataset(&bytes)); print_text(" read\\n"); return 0;'
    assert "\n12345678 read\n" in boot(body, until="12345678")


def test_an_exception_is_explained_and_the_chip_starts_again(boot: Boot, tmp_path: Path) -> None:
    body = 'uint32_t *volatile there = (uint32_t *)4; *there = 1; print_text("not reached\\n"); return 0;'
    console = boot(body, until="# reset: after a panic")
    assert "panic'ed (StoreProhibited)" in console
    assert re.search(r"^EXCVADDR: 0x00000004 ", console, re.MULTILINE)
    assert re.search(
        r"^Backtrace: 0x4008[0-9a-f]{4}:0x3ffb[0-9a-f]{4}( 0x4008[0-9a-f]{4}:0x3ffb[0-9a-f]{4})+$", console, re.M
    )
    assert "Rebooting..." in console
    decoder = Decoder(tmp_path / "program.elf")
    crash, _ = console.split("Rebooting...", 1)  # what follows may crash again before it is looked at
    assert functions_named(decoder, crash)[-3:] == ["app_status", "board_start", "_start"]
    assert reports(console)[:2] == ["power-on or EN", "after a panic"]
    assert "not reached" not in console


def test_a_stack_overflow_is_caught(boot: Boot) -> None:
    deep = (
        "static __attribute__((noinline)) int deep(int n) { volatile int x = n; return n == 0 ? 0 : deep(n - 1) + x; }"
    )
    assert "panic'ed (Stack overflow)" in boot("return deep(1000);", until="Backtrace:", before=deep)


def test_a_hang_is_a_panic_that_says_where_and_the_next_boot_says_so(boot: Boot, tmp_path: Path) -> None:
    console = boot("endless(); return 0;", until="# reset: watchdog", before=ENDLESS)
    assert "panic'ed (the program hung)" in console
    decoder = Decoder(tmp_path / "program.elf")
    crash, _ = console.split("Rebooting...", 1)  # what follows may crash again before it is looked at
    assert functions_named(decoder, crash)[-4:] == ["endless", "app_status", "board_start", "_start"]
    assert reports(console) == ["power-on or EN", "watchdog: the program hung"]


def test_a_hang_where_windows_are_saved_is_caught_too(boot: Boot) -> None:
    """A program that runs over all windows and back again: the interrupt waits for the handlers of that."""
    deep = "static __attribute__((noinline)) int deep(volatile int n) { return n == 0 ? 0 : deep(n - 1) + n; }"
    console = boot("for (;;) { deep(12); }", until="# reset: watchdog", before=deep)
    assert "panic'ed (the program hung)" in console
    assert "|<-CORRUPTED" not in console


def test_a_program_that_is_alive_is_left_alone(boot: Boot) -> None:
    """Longer than the watchdog's five seconds."""
    body = """
        for (int i = 0; i < 70; i++) {
            clock_wait_us(100000);
            watchdog_feed();
        }
        print_text("alive\\n");
        return 0;"""
    console = boot(body, until="alive", before='#include "board/esp32/clock.h"\n#include "board/esp32/watchdog.h"')
    assert reports(console) == ["power-on or EN"]


def test_a_program_that_has_ended_stays_ended(boot: Boot) -> None:
    """board_exit() stops the watchdog: nothing is printed again within twice its time."""
    with pytest.raises(TimeoutError) as caught:
        boot('print_text("over\\n"); return 1;', until="# reset: watchdog", timeout=12)
    assert reports(str(caught.value)) == ["power-on or EN"]


def test_the_chip_draws_another_word_each_time(boot: Boot) -> None:
    """That the register is read, not how good its noise is: the emulator answers with the host's."""
    body = """
        print_hex(board_random());
        print_text(" ");
        print_hex(board_random());
        print_text(" drawn\\ndone\\n");
        return 0;"""
    console = boot(body, until="done")
    first, second = re.search(r"^([0-9a-f]{8}) ([0-9a-f]{8}) drawn", console, re.MULTILINE).groups()
    assert first != second


# ---- The second core ------------------------------------------------------------------------------------------------

START = 'if (!board_start_second_core()) { print_text("no answer\\n"); return 1; }\n'
CRASH = "static __attribute__((noinline)) void crash(void) { *(uint32_t *volatile)4 = 1; }"


def crashes(console: str) -> list[str]:
    """Core and cause of each crash."""
    return re.findall(r"^Guru Meditation Error: Core  (\d panic'ed \(.*?\))\.", console, re.MULTILINE)


def test_the_second_core_begins_in_the_state_of_the_first(boot: Boot) -> None:
    """What each core has of its own, and its ROM leaves otherwise."""
    numbers = {"MEMCTL": 97, "DBREAKA0": 144, "DBREAKC0": 160, "CPENABLE": 224, "INTENABLE": 228, "VECBASE": 231}
    stores = "".join(f"state[{index}] = special_{number}();\n" for index, number in enumerate(numbers.values()))
    before = f"""{"".join(special(number) for number in numbers.values())}
        extern const char second_stack_bottom[], second_stack_top[], vectors_start[];
        static volatile uint32_t state[10];
        static volatile bool answered;
        __attribute__((noinline)) static void look(void) {{
            uint32_t word, bytes;
            {stores}
            __asm__ volatile("rur.fcr %0" : "=r"(word));
            state[6] = word;
            __asm__ volatile("rur.fsr %0" : "=r"(word));
            state[7] = word;
            state[8] = *(const uint32_t *)board_dataset(&bytes);
            const uintptr_t here = (uintptr_t)&bytes;
            state[9] = here > (uintptr_t)second_stack_bottom && here < (uintptr_t)second_stack_top;
        }}"""
    body = f"""{START} while (!answered) {{ }}
        for (int i = 0; i < 10; i++) {{ print_hex(state[i]); print_text(" "); }}
        print_hex((uintptr_t)second_stack_bottom); print_text(" ");
        print_hex((uintptr_t)vectors_start); print_text(" state\\ndone\\n");
        return 0;"""
    words = re.search(
        r"^((?:[0-9a-f]{8} )+)state$",
        boot(body, until="done", before=before, second_core="look(); answered = true;"),
        re.MULTILINE,
    )
    assert words
    *state, guard, vectors = (int(word, 16) for word in words[1].split())
    own = {"MEMCTL": 0, "DBREAKA0": guard, "DBREAKC0": 1 << 31, "CPENABLE": 1, "INTENABLE": 1 << 23, "VECBASE": vectors}
    expected = {**own, "FCR": 0, "FSR": 0, "data set": 0x12345678, "on its stack": 1}
    assert dict(zip(expected, state, strict=True)) == expected


def test_the_second_core_is_started_after_the_rom_has_written_what_the_model_gets(boot: Boot) -> None:
    """Its ROM's variables and stack, 0x3FFE3F20 to 0x3FFE7E30 (linker/esp32.ld): filled once it runs, they stay."""
    body = f"""{START}
        uint32_t *const begin = (uint32_t *)0x3FFE3F20, *const end = (uint32_t *)0x3FFE7E30;
        for (uint32_t *word = begin; word < end; word++) {{ *word = 0xA5A5A5A5; }}
        go = true;
        while (!done) {{ }}
        uint32_t changed = 0;
        for (uint32_t *word = begin; word < end; word++) {{ changed += *word != 0xA5A5A5A5; }}
        print_unsigned(changed, 1); print_text(" words changed\\n");
        return 0;"""
    second = "while (!go) {} for (volatile int i = 0; i < 100000; i++) {} done = true;"
    console = boot(body, until="0 words", before="static volatile bool go, done;", second_core=second)
    assert "\n0 words changed\n" in console


def test_a_crash_of_the_second_core_is_explained_and_the_chip_starts_again(boot: Boot, tmp_path: Path) -> None:
    body = f"{START} for (;;) {{ }} return 0;"
    console = boot(body, until="# reset: after", before=CRASH, second_core="crash();")
    assert crashes(console)[0] == "1 panic'ed (StoreProhibited)"
    assert "\nCore  1 register dump:\n" in console
    assert re.search(
        r"^Backtrace: 0x4008[0-9a-f]{4}:0x3ffb[0-9a-f]{4}( 0x4008[0-9a-f]{4}:0x3ffb[0-9a-f]{4})+$", console, re.M
    )
    crash, _ = console.split("Rebooting...", 1)
    expected = ["crash", "app_second_core", "board_start_on_second_core", "start_second"]
    assert functions_named(Decoder(tmp_path / "program.elf"), crash)[-4:] == expected
    assert reports(console)[:2] == ["power-on or EN", "after a panic"]


def test_a_stack_overflow_of_the_second_core_is_caught(boot: Boot) -> None:
    deep = (
        "static __attribute__((noinline)) int deep(int n) { volatile int x = n; return n == 0 ? 0 : deep(n - 1) + x; }"
    )
    body = f"{START} for (;;) {{ }} return 0;"
    console = boot(body, until="Backtrace:", before=deep, second_core="deep(1000);")
    assert crashes(console) == ["1 panic'ed (Stack overflow)"]


@pytest.mark.parametrize("core", [0, 1])
def test_a_crash_of_one_core_stops_the_other(boot: Boot, core: int) -> None:
    """What the other would print goes on until the crash, and never after it."""
    chatter = 'for (;;) { print_text("."); }'
    first, second = ("while (!ready) {} crash();", f"ready = true; {chatter}")[:: 1 if core == 0 else -1]
    before = f"{CRASH}\nstatic volatile bool ready;"
    console = boot(f"{START} {first} return 0;", until="# reset: after", before=before, second_core=second)
    assert crashes(console)[0] == f"{core} panic'ed (StoreProhibited)"
    crash = console.split("Guru Meditation", 1)[1].split("Rebooting", 1)[0]
    assert ".." not in crash


def test_of_two_cores_that_crash_at_once_one_is_explained_and_whole(boot: Boot) -> None:
    body = f"{START} while (!ready) {{}} go = true; crash(); return 0;"
    second = "ready = true; while (!go) {} crash();"
    before = f"{CRASH}\nstatic volatile bool ready, go;"
    console = boot(body, until="# reset: after", before=before, second_core=second)
    crash = console.split("Rebooting...", 1)[0]
    (explained,) = crashes(crash)
    assert explained[1:] == " panic'ed (StoreProhibited)"
    assert len(re.findall(r"^Backtrace:( 0x[0-9a-f]{8}:0x[0-9a-f]{8})+$", crash, re.MULTILINE)) == 1


@pytest.mark.parametrize(
    ("first", "second", "explained"),
    [
        ("team_wait();", "endless();", "1 endless"),
        ("endless();", "team_wait();", "0 endless"),
        ("team_wait();", "team_wait();", "[01] team_wait"),  # each waits for the other
    ],
    ids=["the second", "the first", "both"],
)
def test_a_hang_is_explained_by_the_core_that_hangs(
    boot: Boot, tmp_path: Path, first: str, second: str, explained: str
) -> None:
    """Both get the watchdog's interrupt; who only waits for the other leaves the word to it."""
    before = f"{ENDLESS}\nstatic void team_wait(void);"
    console = boot(f"{START} {first} return 0;", until="# reset: watchdog", before=before, second_core=second)
    crash, _ = console.split("Rebooting...", 1)
    ((core, cause),) = re.findall(r"^Guru Meditation Error: Core  (\d) panic'ed \((.*?)\)\.", crash, re.MULTILINE)
    assert cause == "the program hung"
    function = functions_named(Decoder(tmp_path / "program.elf"), crash)[-4]
    assert re.fullmatch(explained, f"{core} {function}")
    assert reports(console)[:2] == ["power-on or EN", "watchdog: the program hung"]


def test_a_reset_that_is_asked_for_stops_both_cores_and_both_start_again(boot: Boot) -> None:
    body = f"""{START} while (!answered) {{}}
        print_text("both run\\n");
        if (read_register(0x3FF48050) != 1) {{ write_register(0x3FF48050, 1); board_reset(); }}
        print_text("over\\n"); return 0;"""  # STORE1, which the reset keeps
    before = f"{REGISTERS}\nstatic volatile bool answered;"
    console = boot(body, until="over", before=before, second_core="answered = true;")
    assert reports(console) == ["power-on or EN", "asked for"]
    assert console.count("\nboth run\n") == 2


def test_a_program_that_has_ended_has_stopped_both_cores(boot: Boot) -> None:
    """Nothing is printed after the last word of the first core."""
    second = 'ready = true; for (;;) { print_text("."); }'
    body, before = f"{START} while (!ready) {{}} return 1;", "static volatile bool ready;"
    with pytest.raises(TimeoutError) as caught:
        boot(body, until="# reset: watchdog", before=before, timeout=12, second_core=second)
    assert reports(str(caught.value)) == ["power-on or EN"]


def damaged(factory: Path, folder: Path, at: int, replacement: bytes) -> Path:
    """Copy of a flash image with other bytes at an offset."""
    flash = bytearray(factory.read_bytes())
    flash[at : at + len(replacement)] = replacement
    copy = folder / "damaged.bin"
    copy.write_bytes(flash)
    return copy


@pytest.mark.parametrize(
    ("offset", "replacement", "message"),
    [
        (0, b"\xff" * 32, "the data set is missing"),
        (4, b"\x09", "the data set is in another format"),
        (16, b"\x00\x01", "the data set is without characters, or with more than 255"),
        (5000, b"\xaa\x55", "the data set is damaged"),
    ],
)
def test_a_wrong_data_set_is_refused_by_name(
    offset: int, replacement: bytes, message: str, programs: Programs, esp32_emulator: str, tmp_path: Path
) -> None:
    folder = programs.esp32()
    at = image.flash_layout(folder / "firmware.elf").dataset + offset
    flash = damaged(folder / "factory.bin", tmp_path, at, replacement)
    console = emulator.capture_esp32(esp32_emulator, flash, "# error:", TIMEOUT)
    assert f"\n# error: {message}" in console
    assert "num docs" not in console


def test_seed_hw_prints_a_seed_that_repeats_the_run_on_a_pc(programs: Programs, esp32_emulator: str) -> None:
    options = {"steps": 30, "samples": 3}
    flash = programs.esp32(seed="hw", **options) / "factory.bin"
    console = emulator.capture_esp32(esp32_emulator, flash, "weights crc32", TIMEOUT)
    seed = re.search(
        r"^# seed (\d+): .* not for cryptography; seed=\1 repeats the run anywhere$", console, re.MULTILINE
    )
    assert seed, console
    output = programs.run_host(seed=int(seed[1]), **options).stdout
    printed = "".join(line for line in console.splitlines(keepends=True) if not line.startswith("# "))
    assert output in printed


@pytest.fixture
def typed(programs: Programs, esp32_emulator: str, tmp_path: Path) -> Callable[..., str]:
    """Function that types at a chip whenever it has said something; returns all that it said."""

    def run(*steps: tuple[str, str], **options: object) -> str:
        flash = tmp_path / "factory.bin"
        flash.write_bytes((programs.esp32(**options) / "factory.bin").read_bytes())
        return talk(emulator.command_esp32(esp32_emulator, flash, "stdio"), steps, TYPED_TIMEOUT)

    return run


def test_the_chip_gives_this_machine_s_answers(typed: Callable[..., str], programs: Programs) -> None:
    """First several commands pasted in one piece, then one at a time, each ended as some terminals do."""
    chosen = {"steps": 60, "samples": 2, "seed": 3}
    pasted = ["help", "names 3", "complete mar 2", "teach zoe 4", "loss emma", "next em", "attention emma"]
    single = ["check", "set n_embd=28 n_layer=2 steps=9", "train 4", "names 2", "train", "complete Zo\u00e9", "bogus"]
    steps = [("more names", "".join(f"{command}\r" for command in pasted))]
    steps += [(f"> {command}\n", "") for command in pasted]
    for command, end in zip(single, ("\r", "\n", "\r\n") * 3, strict=False):
        steps += [("> ", command + end), (f"{command}\n", "")]
    said = typed(*steps, ("help lists them\n> ", ""), **chosen)
    here = subprocess.run(
        [programs.host(console="yes", **chosen)],
        input="".join(f"{command}\n" for command in [*pasted, *single]),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    _, expected = answers(here.stdout)
    shown = re.split(r"^> ", said, flags=re.MULTILINE)[1:-1]
    for command, answer, part in zip([*pasted, *single], expected, shown, strict=True):
        echo, *lines = part.removesuffix("\n").split("\n")
        assert echo == command
        if command == "check":  # a bank and a core more, and gradients whose last digits are the same
            checks, rest = answer.lines.pop().split(" ", 1)
            more = ["right: memory bank 2", "right: a million barriers between the cores"]
            assert lines[-4:-1] == [*more, f"{int(checks) + len(more)} {rest}"]
            del lines[-4:-1]
        lines = [line for line in lines if not line.startswith(CHIPS_OWN)]
        assert lines == [*answer.lines, answer.end]


def test_a_key_stops_training_with_the_line_that_it_begins(typed: Callable[..., str]) -> None:
    said = typed(
        ("step  100 /", "temperature\r"), ("ok\n> ", "train\r"), ("step  300 /", "\x03"), ("ok\n> ", ""), steps=100000
    )
    first, second = re.findall(r"# stopped at step (\d+) of 100000; train goes on", said)
    assert 100 <= int(first) < 300 <= int(second)
    assert "> temperature\ntemperature=0.5\nok\n" in said


def test_reset_starts_the_chip_anew(typed: Callable[..., str]) -> None:
    said = typed(("more names", "set steps=7\r"), ("ok\n> ", "reset\r"), ("more names", ""), steps=20, samples=2)
    assert reports(said) == ["power-on or EN", "asked for"]
    runs = re.findall(r"^weights crc32: (\w+)$", said, re.MULTILINE)
    assert len(runs) == 2
    assert runs[0] == runs[1]


def test_input_that_comes_as_fast_as_the_line_lets_it_is_not_lost_while_the_chip_is_busy(
    typed: Callable[..., str],
) -> None:
    """While documents are shuffled and weights drawn, which takes longer than the UART's FIFO lasts."""
    ahead = "".join(f"temperature 0.{number}\r" for number in range(1, 10))
    said = typed(
        ("more names", "set steps=5\r"), ("ok\n> ", f"train\r{ahead}"), ("0.9\nok\n> ", ""), steps=20, samples=2
    )
    assert [*re.findall(r"^> temperature 0\.(\d)\nok$", said, re.MULTILINE)] == [*"123456789"]
