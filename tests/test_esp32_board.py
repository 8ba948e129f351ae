"""The chip's board code on an emulated ESP32, booted from its ROM: what it reports, and how it ends and starts again.

No emulator shows the crystal, the PLL, UART rates, or the watchdogs of the ROM; README says what that leaves open.
"""

import codecs
import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Programs
from console import answers
from cross import Cross, program
from mgbuild.device.decode import Decoder
from mgbuild.emulated import emulator
from mgbuild.firmware import image
from mgbuild.plan import configure, options
from mgbuild.plan.sources import sources

REGISTERS = '#include "board/esp32/registers.h"'
ENDLESS = '__attribute__((noinline)) static void endless(void) { for (;;) { __asm__ volatile(""); } }'
TIMEOUT = 30  # seconds; a boot takes less than one

Boot = Callable[..., str]


@pytest.fixture
def boot(tmp_path: Path, esp32_emulator: str, cross: Cross) -> Boot:
    """Function that builds a program's body for the chip, boots it, and returns the console up to a line."""

    def build_and_boot(body: str, until: str, before: str = "", timeout: float = TIMEOUT, baud: int = 115200) -> str:
        source = tmp_path / "program.c"
        source.write_text(f'#include "board/board.h"\n#include "text/print.h"\n{before}\n{program(body)}')
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
        words = emulator.command_esp32(esp32_emulator, flash, "stdio")
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # a character may come in two parts
        said, at = "", 0
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        ) as machine:
            assert machine.stdin and machine.stdout
            watch = threading.Timer(TIMEOUT, machine.kill)
            watch.start()
            try:
                for awaited, keys in steps:
                    while awaited not in said[at:]:
                        part = os.read(machine.stdout.fileno(), 65536)
                        assert part, f"no {awaited!r} in {said[at:]!r}"
                        said += decode(part).replace("\r", "")
                    at = said.index(awaited, at) + len(awaited)
                    machine.stdin.write(keys.encode())
            finally:
                watch.cancel()
                machine.kill()
        return said

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
        if command == "check":  # a bank more, and gradients whose last digits are the same
            assert lines.pop(-3) == "right: memory bank 2"
            assert (lines.pop(-2), answer.lines.pop(-1)) == ("35 checks, all right", "34 checks, all right")
        lines = [line for line in lines if not line.startswith(("# seed", "# time", "# tokens"))]
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
