"""What the board's code tells the ESP32: which registers, which values, in which order.

The code runs on this machine against a recorder (bus_recorder.py), so no emulator's kindness hides a wrong write.
Addresses and values are stated here a second time, each with its source: TRM is the ESP32 Technical Reference Manual,
file names are ESP-IDF's.
"""

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from bus_recorder import BANKS, MEMORY_BYTES, MEMORY_START, Call, Chip, Event, Expected, Write, build, memory
from conftest import Programs, with_settings
from mgbuild.plan import configure, options
from mgbuild.plan.sources import sources

# TRM, UART Controller.
UART0_FIFO_AHB, UART0_CLKDIV, UART0_CONF1 = 0x60000000, 0x3FF40014, 0x3FF40024
UART0_INT_ENA, UART0_INT_CLR, UART_INT_MAP = 0x3FF4000C, 0x3FF40010, 0x3FF0018C

# TRM, RTC: Low-Power Management; rtc_cntl_reg.h.
OPTIONS0, TIMER1, RESET_STATE, STORE0, CLK_CONF = 0x3FF48000, 0x3FF4801C, 0x3FF48034, 0x3FF4804C, 0x3FF48070
RTC_CNTL_REG, TEST_MUX, STORE5, BROWN_OUT = 0x3FF4807C, 0x3FF480A8, 0x3FF480B4, 0x3FF480D4
RTC_WDTCONFIG0, RTC_WDTCONFIG1, RTC_WDTFEED, RTC_WDTWPROTECT = 0x3FF4808C, 0x3FF48090, 0x3FF480A0, 0x3FF480A4

# TRM, Timer Group; timer_group_reg.h.
WDTCONFIG0, WDTCONFIG1, WDTCONFIG2, WDTFEED, WDTWPROTECT = 0x3FF5F048, 0x3FF5F04C, 0x3FF5F050, 0x3FF5F060, 0x3FF5F064
RTCCALICFG, TIMG0_INT_ENA, TIMG0_INT_CLR = 0x3FF5F068, 0x3FF5F098, 0x3FF5F0A4
KEY = 0x50D83AA1

# syscon_reg.h, regi2c_defs.h, dport_reg.h, efuse_reg.h.
SYSCLK_CONF, XTAL_TICK_CONF, PLL_TICK_CONF, SYSCON_DATE = 0x3FF66000, 0x3FF66004, 0x3FF66008, 0x3FF6607C
ANA_CONFIG, CPU_PER_CONF = 0x6000E044, 0x3FF0003C
EFUSE_RDATA3, EFUSE_RDATA5 = 0x3FF5A00C, 0x3FF5A014
WDT_INT_MAP, APP_WDT_INT_MAP = 0x3FF00144, 0x3FF00258

# spi_reg.h, io_mux_reg.h.
SPI0_CTRL2, SPI0_CLOCK, SPI0_USER, SPI0_USER1, IO_MUX_SD_CLK = (
    0x3FF43014,
    0x3FF43018,
    0x3FF4301C,
    0x3FF43020,
    0x3FF49060,
)
SPI0_DIVIDER = {"80m": 1 << 31, "40m": 1 << 12, "26m": 2 << 12, "20m": 3 << 12}

# dport_reg.h: each CPU's cache, and the APP CPU.
CACHE_CTRL1, MMU_TABLE = 0x3FF00044, 0x3FF10000
APP_CACHE_CTRL1, APP_MMU_TABLE = 0x3FF0005C, 0x3FF12000
APPCPU_CTRL_A, APPCPU_CTRL_B, APPCPU_CTRL_C, APPCPU_CTRL_D = 0x3FF0002C, 0x3FF00030, 0x3FF00034, 0x3FF00038
SW_CPU_STALL = 0x3FF480AC  # rtc_cntl_reg.h

# Contents of registers whose other bits the code must leave as they are.
BEFORE = 0xA5C3963C
CLOCK_REGISTERS = (OPTIONS0, TIMER1, CLK_CONF, RTC_CNTL_REG, SYSCLK_CONF, ANA_CONFIG)

ONE_SLOW_CYCLE_US = 31  # of 32 kHz, the slowest that an earlier program may have chosen

MakeChip = Callable[..., Chip]


def compiled(library: Path, program: Sequence[Path], *flags: str) -> Path:
    """The board's code as a library, with a program for it and the default console; returns its path."""
    generated = library.parent / "generated"
    generated.mkdir()
    (generated / "run_config.h").write_text(configure.run_config(options.parse({})))
    (generated / "version.h").write_text(configure.version_header(configure.Version("v1.2-test")))
    board = [path for path in sources("board/esp32", "text", "math") if path.suffix == ".c"]
    return build(library, [*board, *program], f"-I{library.parent}", *flags)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The board's code, with a program that ends at once."""
    library = tmp_path_factory.mktemp("bus") / "board.so"
    loaded = ctypes.CDLL(str(compiled(library, [Path("tests/bus/program.c")])))
    for name in ("read", "erase", "program", "is_protected"):
        getattr(loaded, f"board_flash_{name}").restype = ctypes.c_bool
    return loaded


@pytest.fixture
def chip(board: ctypes.CDLL) -> MakeChip:
    """Function that makes a chip with such contents of its registers."""
    return lambda registers=None, **facts: Chip(board, registers, **facts)


def revision(number: int) -> dict[int, int]:
    """What marks a revision (efuse_hal.c)."""
    marks = ((EFUSE_RDATA3, 1 << 15), (EFUSE_RDATA5, 1 << 20), (SYSCON_DATE, 1 << 31))
    return {address: bit for address, bit in marks[:number]}


# ---- Clock ----------------------------------------------------------------------------------------------------------


def from_crystal(expected: Expected, mhz: int) -> None:
    """rtc_clk.c, rtc_clk_cpu_freq_to_xtal(): REF_TICK of 1 MHz, source, then the voltage; one slow cycle."""
    expected.call("ets_update_cpu_frequency", mhz)
    expected.clear(SYSCLK_CONF, 0x3FF)  # PRE_DIV_CNT: undivided
    expected.write(XTAL_TICK_CONF, mhz - 1)
    expected.clear(CLK_CONF, 3 << 27)  # SOC_CLK_SEL: crystal
    expected.field(RTC_CNTL_REG, 7 << 11, 4 << 11)  # DIG_DBIAS_WAK: 1.10 V
    expected.call("ets_delay_us", ONE_SLOW_CYCLE_US)


def pll_off(expected: Expected) -> None:
    """rtc_clk.c, rtc_clk_cpu_freq_set_xtal(): crystal first, then the PLL down."""
    from_crystal(expected, 40)
    expected.set(OPTIONS0, 1 << 6 | 1 << 8 | 1 << 10)  # BB_I2C, BBPLL_I2C, BBPLL _FORCE_PD


def oscillators(expected: Expected) -> None:
    """rtc_clk_init.c: RTC_CNTL_SCK_DCAP_DEFAULT and RTC_CNTL_CK8M_DFREQ_DEFAULT, before they measure anything."""
    expected.field(RTC_CNTL_REG, 0xFF << 14, 255 << 14)
    expected.field(CLK_CONF, 0xFF << 17, 172 << 17)


def count_crystal(expected: Expected, before: int, looks: int) -> None:
    """rtc_clk_init.c, rtc_clk_xtal_freq_estimate(), and rtc_time.c: 10 cycles of 8.5 MHz / 256 take 301 us."""
    expected.write(CLK_CONF, before & ~(1 << 6 | 1 << 7) | 1 << 9)  # ENB_CK8M, ENB_CK8M_DIV off: on; DIG_CLK8M_D256_EN
    expected.field(TIMER1, 0xFF << 6, 5 << 6)  # CK8M_WAIT: CLK_LL_RC_FAST_ENABLE_WAIT_DEFAULT
    expected.call("ets_delay_us", 50)  # SOC_DELAY_RC_FAST_ENABLE
    expected.write(RTCCALICFG, 10 << 16 | 1 << 13, 1 << 31 | 10 << 16 | 1 << 13)  # CLK_CAL_RC_FAST_D256, then START
    expected.call("ets_delay_us", 301)
    for _ in range(looks):
        expected.call("ets_delay_us", 1)
    expected.write(CLK_CONF, before)


def pll_on(expected: Expected, crystal: int, cpu: int, flash_at_80_mhz: bool = False) -> None:
    """rtc_clk.c, rtc_clk_bbpll_enable() and _configure(); numbers from clk_tree_ll.h, clk_ll_bbpll_set_config()."""
    expected.set(ANA_CONFIG, 0x3FF << 8)
    expected.clear(ANA_CONFIG, 1 << 17)
    expected.clear(OPTIONS0, 1 << 6 | 1 << 8 | 1 << 10 | 1 << 18)  # and BIAS_I2C_FORCE_PD
    for register, value in ((0, 0x18), (1, 0x20), (4, 0x9A), (10, 0x00), (12, 0x00)):
        expected.call("rom_i2c_writeReg", 0x66, 4, register, value)
    expected.call("ets_delay_us", ONE_SLOW_CYCLE_US)
    volts = 7 if cpu == 240 or flash_at_80_mhz else 4  # rtc.h: DIG_DBIAS_240M, DIG_DBIAS_80M_160M
    expected.field(RTC_CNTL_REG, 7 << 11, volts << 11)
    expected.call("ets_delay_us", 3)  # SOC_DELAY_PLL_DBIAS_RAISE
    endiv5, dsmp = (0xC3, 0x74) if cpu == 240 else (0x43, 0x84)
    lref, dcur = (0xCC, 0x40) if crystal == 26 else (0x00, 0xC6)
    div = {(26, 240): 144, (26, 160): 224, (40, 240): 28, (40, 160): 32}[crystal, cpu]
    for register, value in ((11, endiv5), (9, dsmp), (2, lref), (3, div), (5, dcur)):
        expected.call("rom_i2c_writeReg", 0x66, 4, register, value)
    expected.call("ets_delay_us", 160)  # SOC_DELAY_PLL_ENABLE_WITH_32K


def from_pll(expected: Expected, cpu: int) -> None:
    """rtc_clk.c, rtc_clk_cpu_freq_to_pll_mhz(): the divider before the source, for APB is 80 MHz with it."""
    expected.write(CPU_PER_CONF, 2 if cpu == 240 else 1)
    expected.write(PLL_TICK_CONF, 79)
    expected.field(CLK_CONF, 3 << 27, 1 << 27)
    expected.call("ets_update_cpu_frequency", cpu)
    expected.call("ets_delay_us", ONE_SLOW_CYCLE_US + 30)


STORED = {
    26: 0x18CB18CB,
    40: 0x26252625,
}  # what the ROM of revision 3 leaves: Hz >> 12, twice (ESP-IDF: RTC_APB_FREQ_REG)


@pytest.mark.parametrize("source", ["crystal", "pll"])  # power-on, or reset while the PLL was in use
@pytest.mark.parametrize(
    ("cpu", "fuses"), [(240, 0), (240, 1 << 13), (160, 3 << 12)]
)  # EFUSE_RD_CHIP_CPU_FREQ_RATED, _LOW
@pytest.mark.parametrize("crystal", [26, 40])
def test_the_clock_goes_over_the_crystal_to_the_pll(
    crystal: int, cpu: int, fuses: int, source: str, chip: MakeChip
) -> None:
    before = dict.fromkeys(CLOCK_REGISTERS, BEFORE & ~(3 << 27) | (1 << 27 if source == "pll" else 0))
    before |= {EFUSE_RDATA3: fuses, STORE5: STORED[crystal], SPI0_CLOCK: SPI0_DIVIDER["40m"]}
    double, expected = chip(before), Expected(before)
    assert double.run("clock_start") == "returned"
    pll_off(expected)
    oscillators(expected)
    from_crystal(expected, crystal)
    pll_on(expected, crystal, cpu)
    from_pll(expected, cpu)
    assert double.events == expected.events


def test_flash_at_80_mhz_takes_the_higher_voltage_at_160_mhz_too(chip: MakeChip) -> None:
    """rtc.h: DIG_DBIAS_80M_160M with CONFIG_ESPTOOLPY_FLASHFREQ_80M."""
    before = {EFUSE_RDATA3: 3 << 12, STORE5: STORED[40], SPI0_CLOCK: SPI0_DIVIDER["80m"]}
    double, expected = chip(before), Expected(before)
    double.run("clock_start")
    pll_off(expected)
    oscillators(expected)
    from_crystal(expected, 40)
    pll_on(expected, 40, 160, flash_at_80_mhz=True)
    from_pll(expected, 160)
    assert double.events == expected.events


NOT_A_CRYSTAL = {
    "left at 0 by ROMs before revision 3": 0,
    "after power-on, undefined": 0xFFFFFFFF,
    "two halves that differ": 0x18CB2625,
    "APB of ESP-IDF's firmware": (80_000_000 >> 12) * 0x10001,
    "measured at 120 MHz": (120_000_000 >> 12) * 0x10001,
}


@pytest.mark.parametrize("hz", [26e6, 40e6, 26e6 * 1.07, 26e6 / 1.07, 40e6 * 1.07, 40e6 / 1.07], ids="{:.3g}".format)
@pytest.mark.parametrize("stored", NOT_A_CRYSTAL.values(), ids=NOT_A_CRYSTAL)
def test_a_crystal_that_the_rom_does_not_name_is_measured(stored: int, hz: float, chip: MakeChip) -> None:
    """clk_tree_defs.h: the internal oscillator is within 7 %."""
    before = dict.fromkeys(CLOCK_REGISTERS, BEFORE) | {STORE5: stored}
    double, expected = chip(before, crystal_hz=hz), Expected(before)
    double.run("clock_start")
    crystal = 26 if hz < 33e6 else 40
    pll_off(expected)
    oscillators(expected)
    count_crystal(expected, expected.registers[CLK_CONF], looks=0)
    from_crystal(expected, crystal)
    pll_on(expected, crystal, 240)
    from_pll(expected, 240)
    assert double.events == expected.events


@pytest.mark.parametrize(("hz", "crystal"), [(21.1e6, 26), (33.9e6, 26), (34.1e6, 40), (45.9e6, 40)])
def test_the_limits_of_what_counts_as_a_crystal_are_those_of_esp_idf(hz: float, crystal: int, chip: MakeChip) -> None:
    """rtc_clk_init.c, rtc_clk_xtal_freq_estimate(): 21 to 33 and 34 to 45 MHz."""
    double = chip(crystal_hz=hz)
    double.run("clock_start")
    told = [event.value for event in double.written if event.address == XTAL_TICK_CONF]
    assert told == [39, crystal - 1]


@pytest.mark.parametrize(
    ("hz", "looks"), [(0, 301), (20.9e6, 0), (46.1e6, 0), (80e6, 0)]
)  # no result; not one that is sold
def test_a_crystal_that_cannot_be_told_counts_as_40_mhz(hz: float, looks: int, chip: MakeChip) -> None:
    """Were it one of 26 MHz, everything would be too slow, not too fast."""
    double, expected = chip(crystal_hz=hz), Expected()
    double.run("clock_start")
    pll_off(expected)
    oscillators(expected)
    count_crystal(expected, expected.registers[CLK_CONF], looks)
    from_crystal(expected, 40)
    pll_on(expected, 40, 240)
    from_pll(expected, 240)
    assert double.events == expected.events


# ---- Flash, cache and MMU -------------------------------------------------------------------------------------------


def flash_read(expected: Expected, late: int, at_80_mhz: bool) -> None:
    """bootloader_flash_config_esp32.c: chip-select times, dummy cycles, and for 80 MHz a stronger clock."""
    expected.set(SPI0_USER, 1 << 4 | 1 << 5)  # CS_HOLD, CS_SETUP
    expected.field(SPI0_CTRL2, 0xFF, 1 << 4)  # HOLD_TIME 1, SETUP_TIME 0
    expected.write(SPI0_USER1, expected.registers.get(SPI0_USER1, 0) + late)  # DUMMY_CYCLELEN [7:0]
    if at_80_mhz:
        expected.field(IO_MUX_SD_CLK, 3 << 10, 3 << 10)  # FUN_DRV


def map_flash(expected: Expected, late: int = 0, at_80_mhz: bool = False) -> None:
    """bootloader_esp32.c, bootloader_reset_mmu(): nothing is changed but with the cache off."""
    expected.call("Cache_Read_Disable", 0)
    expected.call("Cache_Flush", 0)
    flash_read(expected, late, at_80_mhz)
    for page in range(256):
        expected.write(MMU_TABLE + 4 * page, 0x100)  # DPORT_FLASH_MMU_TABLE_INVALID_VAL
    expected.call("cache_flash_mmu_set", 0, 0, 0x3F400000, 0, 64, 64)  # 4 MB, as the window has
    expected.clear(CACHE_CTRL1, 1 << 4)  # DPORT_PRO_CACHE_MASK_DROM0
    expected.call("Cache_Read_Enable", 0)


@pytest.mark.parametrize("pins", ["direct", "matrix"])
@pytest.mark.parametrize(
    ("frequency", "late_direct", "late_matrix"), [("80m", 1, 2), ("40m", 0, 1), ("26m", 0, 0), ("20m", 0, 0)]
)
def test_flash_is_mapped_with_the_cache_off(
    frequency: str, late_direct: int, late_matrix: int, pins: str, chip: MakeChip
) -> None:
    """rom/spi_flash.h, ESP_ROM_SPIFLASH_DUMMY_LEN_PLUS_*: for pins behind the GPIO matrix, which takes 25 ns."""
    before = dict.fromkeys((SPI0_USER, SPI0_CTRL2, IO_MUX_SD_CLK, CACHE_CTRL1), BEFORE)
    before |= {SPI0_CLOCK: SPI0_DIVIDER[frequency], SPI0_USER1: 0x5C000007}
    before[EFUSE_RDATA5] = 6 if pins == "matrix" else 1 << 20 | 3 << 22  # SPI_PAD_CONFIG_CLK, or fields beside it
    double, expected = chip(before), Expected(before)
    assert double.run("flash_map") == "returned"
    map_flash(expected, late_matrix if pins == "matrix" else late_direct, frequency == "80m")
    assert double.events == expected.events


# ---- Checkpoints in flash -------------------------------------------------------------------------------------------

# spi_reg.h; linker/esp32.ld and tests/bus/board/esp32/layout.h: where the checkpoints are.
SPI1_CMD, SPI1_CTRL2, SPI1_CLOCK, SPI1_USER, SPI1_W0 = 0x3FF42000, 0x3FF42014, 0x3FF42018, 0x3FF4201C, 0x3FF42080
CHECKPOINTS, CHECKPOINTS_BYTES = 0x35A000, 0xA6000
SECTOR = 4096


def ask_flash_id(expected: Expected) -> None:
    """JEDEC id by SPI1, while SPI0 and the cache rest."""
    expected.call("Cache_Read_Disable", 0)
    expected.write(SPI1_W0, 0)
    expected.write(SPI1_CMD, 1 << 28)  # SPI_FLASH_RDID
    expected.registers[SPI1_CMD] = 0
    expected.call("Cache_Flush", 0)
    expected.call("Cache_Read_Enable", 0)


def make_storage_ready(expected: Expected) -> None:
    """bootloader_flash_config_esp32.c, bootloader_flash_cs_timing_config(), for SPI1; a clock that needs no dummy
    cycles (TRM, SPI_CLOCK_REG: APB by CLKCNT_N + 1 = 4); sizes for the ROM, which has taken 2 MB for granted."""
    expected.set(SPI1_USER, 1 << 31 | 1 << 4 | 1 << 5)  # USR_COMMAND, CS_HOLD, CS_SETUP
    expected.field(SPI1_CTRL2, 0xFF, 1 << 4)  # HOLD_TIME 1, SETUP_TIME 0
    expected.write(SPI1_CLOCK, 3 << 12 | 1 << 6 | 3)
    expected.call("esp_rom_spiflash_config_param", 0x1540EF, 4 << 20, 0x10000, 0x1000, 0x100, 0xFFFF)
    ask_flash_id(expected)


@pytest.fixture
def storage(board: ctypes.CDLL, chip: MakeChip) -> Iterator[Chip]:
    """A chip whose storage is ready, with flash to write to."""
    with memory(b""):
        double = chip()
        assert double.run("storage_start") == "returned"
        assert board.board_flash_bytes() == CHECKPOINTS_BYTES
        double.events.clear()
        yield double


def test_storage_is_made_ready_with_the_size_of_the_chip(chip: MakeChip) -> None:
    before = dict.fromkeys((SPI1_USER, SPI1_CTRL2, SPI1_CLOCK), BEFORE)
    double, expected = chip(before), Expected(before)
    assert double.run("storage_start") == "returned"
    make_storage_ready(expected)
    assert double.events == expected.events


@pytest.mark.parametrize(("code", "is_room"), [(0x15, False), (0x16, True), (0x17, True), (0x00, False), (0xFF, False)])
def test_a_flash_chip_smaller_than_the_firmware_was_made_for_takes_no_checkpoints(
    code: int, is_room: bool, board: ctypes.CDLL, chip: MakeChip
) -> None:
    """Else what is written at the end would lie at the beginning, over the firmware."""
    with memory(b""):
        double = chip()
        double.flash_id = code << 16 | 0x40C8
        double.run("storage_start")
        assert board.board_flash_bytes() == (CHECKPOINTS_BYTES if is_room else 0)
        double.events.clear()
        assert board.board_flash_erase(0) == is_room
        assert bool(double.events) == is_room


def with_cache_off(name: str, *arguments: int) -> list[Event]:
    """cache_utils.c, spi_flash_disable_interrupts_caches_and_other_cpu(); the watchdogs fed before what takes long."""
    expected = Expected()
    feed(expected)
    expected.call("Cache_Read_Disable", 0)
    expected.call(name, *arguments)
    expected.call("Cache_Flush", 0)
    expected.call("Cache_Read_Enable", 0)
    return expected.events


def test_flash_is_erased_and_programmed_with_the_cache_off_and_the_watchdog_fed(
    board: ctypes.CDLL, storage: Chip
) -> None:
    words = (ctypes.c_uint32 * 4)(1, 2, 3, 0xF0F0F0F0)
    assert board.board_flash_erase(3 * SECTOR)
    assert board.board_flash_program(3 * SECTOR + 256, words, 16)
    first = with_cache_off("esp_rom_spiflash_erase_sector", CHECKPOINTS // SECTOR + 3)
    assert storage.events == first + with_cache_off("esp_rom_spiflash_write", CHECKPOINTS + 3 * SECTOR + 256, 16)
    found = (ctypes.c_uint32 * 4)()
    storage.events.clear()
    assert board.board_flash_read(3 * SECTOR + 256, found, 16)
    assert [*found] == [*words]
    assert storage.events == [], "reading goes through the cache"


def test_the_second_core_s_cache_rests_too_where_it_is_on(board: ctypes.CDLL, storage: Chip) -> None:
    """DPORT_APP_CACHE_CTRL_REG, APP_CACHE_ENABLE; cache_utils.c."""
    storage.registers[0x3FF00058] = 1 << 3
    assert board.board_flash_erase(0)
    calls = [event for event in storage.events if isinstance(event, Call)]
    assert calls == [
        Call("Cache_Read_Disable", (0,)),
        Call("Cache_Read_Disable", (1,)),
        Call("esp_rom_spiflash_erase_sector", (CHECKPOINTS // SECTOR,)),
        Call("Cache_Flush", (0,)),
        Call("Cache_Flush", (1,)),
        Call("Cache_Read_Enable", (1,)),
        Call("Cache_Read_Enable", (0,)),
    ]


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (CHECKPOINTS_BYTES, 4),
        (CHECKPOINTS_BYTES - 4, 8),
        (0xFFFFFFFC, 8),
        (0x100000000 - CHECKPOINTS, 16),
        (0, 0xFFFFFFFC),
        (2, 4),
        (0, 2),
    ],
)
def test_what_is_not_the_checkpoints_is_neither_written_nor_read(
    offset: int, length: int, board: ctypes.CDLL, storage: Chip
) -> None:
    """Nor what is no whole word of theirs."""
    words = (ctypes.c_uint32 * 4)()
    assert not board.board_flash_program(offset, words, length)
    assert not board.board_flash_read(offset, words, length)
    assert storage.events == []


def test_nothing_is_programmed_over_the_end_of_a_sector(board: ctypes.CDLL, storage: Chip) -> None:
    assert not board.board_flash_program(SECTOR - 4, (ctypes.c_uint32 * 4)(), 8)
    assert storage.events == []


@pytest.mark.parametrize("offset", [1, 256, SECTOR - 4, CHECKPOINTS_BYTES, 0xFFFFF000, 0x100000000 - CHECKPOINTS])
def test_no_other_sector_is_ever_erased(offset: int, board: ctypes.CDLL, storage: Chip) -> None:
    assert not board.board_flash_erase(offset)
    assert storage.events == []


def test_what_the_flash_chip_refuses_is_told(board: ctypes.CDLL, storage: Chip) -> None:
    fails = ctypes.c_int.in_dll(board, "flash_fails")
    fails.value = 1
    try:
        assert not board.board_flash_erase(0)
        assert not board.board_flash_program(0, (ctypes.c_uint32 * 4)(), 16)
    finally:
        fails.value = 0


@pytest.mark.parametrize(
    ("status", "is_protected"), [(0, 0), (1 << 2, 1), (1 << 3, 1), (1 << 4, 1), (1 << 5 | 3 | 1 << 7, 0)]
)
def test_protection_is_seen_in_the_block_protect_bits(
    status: int, is_protected: int, board: ctypes.CDLL, storage: Chip
) -> None:
    """BP0 to BP2, as W25Q32 and its kin have them; nothing changes them."""
    held = ctypes.c_uint32.in_dll(board, "flash_status")
    held.value = status
    try:
        assert board.board_flash_is_protected() == is_protected
    finally:
        held.value = 0
    assert [event.name for event in storage.events if isinstance(event, Call)][1] == "esp_rom_spiflash_read_status"


# ---- Console --------------------------------------------------------------------------------------------------------


def test_the_console_runs_at_115200_baud_from_80_mhz(chip: MakeChip) -> None:
    """TRM, UART, baud rate: UART_CLKDIV is APB / baud, its sixteenths from bit 20 on. 80e6 / 115200 = 694 + 7/16."""
    double = chip()
    double.run("console_start")
    assert double.events == [Write(UART0_CLKDIV, 7 << 20 | 694)]


def write_console(double: Chip, board: ctypes.CDLL, text: bytes) -> None:
    """Through the board; the recorder's run() takes one argument, so the text's length is bound here."""
    double.attach()
    board.board_console_write(text, len(text))


def test_text_goes_through_the_ahb_and_never_into_a_full_fifo(board: ctypes.CDLL, chip: MakeChip) -> None:
    """Errata CPU-3.3 (writes at 0x3FF40000 may be lost on revision 0); uart_ll.h, uart_ll_write_txfifo()."""
    double = chip()
    text = bytes(range(32, 127)) * 5 + b"\n"
    write_console(double, board, text)
    assert double.lost == 0
    assert double.deepest == 120, "a byte through the AHB may be counted late: eight places stay free"
    assert [event.address for event in double.written] == [UART0_FIFO_AHB] * (len(text) + 1)
    assert bytes(event.value for event in double.written) == text[:-1] + b"\r\n"


def test_draining_waits_for_the_last_bit(board: ctypes.CDLL, chip: MakeChip) -> None:
    """TRM, UART_STATUS_REG: TXFIFO_CNT and ST_UTX_OUT; the FIFO is empty before the last byte is on the wire."""
    double = chip()
    write_console(double, board, b"last words")
    double.run("console_drain")
    assert double.sent == b"last words"
    assert double.idle


def listen(expected: Expected) -> None:
    """uart_ll.h, uart_ll_set_rxfifo_full_thr(), uart_ll_set_rx_tout(); core-isa.h: interrupt 19 has level 2."""
    expected.write(UART0_CONF1, 1 << 31 | 2 << 24 | 1)  # RX_TOUT_EN, after two bytes' time; RXFIFO_FULL_THRHD 1
    expected.write(UART0_INT_CLR, 0x7FFFF)
    expected.write(UART0_INT_ENA, 1 << 8 | 1 << 0)  # RXFIFO_TOUT, RXFIFO_FULL
    expected.write(UART_INT_MAP, 19)
    expected.call("wsr.intenable", 1 << 19)
    expected.call("ets_delay_us", 256)  # to take what came before, a microsecond a byte


def test_typed_bytes_come_by_interrupt(chip: MakeChip) -> None:
    double, expected = chip(), Expected()
    assert double.run("console_listen_start") == "returned"
    listen(expected)
    assert double.events == expected.events


INPUT_NONE, INPUT_LOST = -1, -3


def test_what_the_interrupt_received_is_read_in_order_and_a_loss_is_told(board: ctypes.CDLL, chip: MakeChip) -> None:
    double = chip()
    double.run("console_listen_start")
    assert board.board_console_read() == INPUT_NONE
    for length in (1, 5, 127, 128):  # several times around the ring
        text = bytes(i % 251 for i in range(length))
        double.type(text)
        assert bytes(board.board_console_read() for _ in text) == text
        assert board.board_console_read() == INPUT_NONE
    double.type(b"x" * 129)
    assert [board.board_console_read() for _ in range(131)] == [*b"x" * 128, INPUT_LOST, INPUT_NONE, INPUT_NONE]


def test_what_was_typed_before_the_program_could_answer_is_left(board: ctypes.CDLL, chip: MakeChip) -> None:
    double = chip()
    double.type(b"noise of the line at power-on")
    double.run("console_listen_start")
    assert board.board_console_read() == INPUT_NONE


# ---- Watchdogs ------------------------------------------------------------------------------------------------------


def unlock(expected: Expected) -> None:
    """mwdt_ll.h, rwdt_ll.h: write_protect_disable()."""
    expected.write(WDTWPROTECT, KEY)
    expected.write(RTC_WDTWPROTECT, KEY)


def lock(expected: Expected) -> None:
    """write_protect_enable()."""
    expected.write(WDTWPROTECT, 0)
    expected.write(RTC_WDTWPROTECT, 0)


def stop(expected: Expected) -> None:
    """bootloader_init.c, bootloader_config_wdt(): the protection of booting, FLASHBOOT_MOD_EN, is off too."""
    unlock(expected)
    expected.write(WDTCONFIG0, 0)
    expected.write(RTC_WDTCONFIG0, 0)
    lock(expected)


def feed(expected: Expected) -> None:
    """wdt_hal_feed(); RTC_CNTL_WDT_FEED is bit 31."""
    unlock(expected)
    expected.write(WDTFEED, 1)
    expected.write(RTC_WDTFEED, 1 << 31)
    lock(expected)


def start(expected: Expected) -> None:
    """int_wdt.c and wdt_hal_iram.c: an interrupt, of level 3; system_internal.c: RESET_RTC if that does not help."""
    unlock(expected)
    expected.write(WDTCONFIG1, 40000 << 16)  # CLK_PRESCALE: half a millisecond of APB
    expected.write(WDTCONFIG2, 10000)  # 5 seconds
    expected.write(RTC_WDTCONFIG1, 1_500_000)  # 10 seconds of 150 kHz
    expected.write(WDTFEED, 1)
    expected.write(RTC_WDTFEED, 1 << 31)
    expected.write(TIMG0_INT_CLR, 1 << 2)
    expected.set(TIMG0_INT_ENA, 1 << 2)
    expected.write(WDTCONFIG0, 1 << 31 | 1 << 29 | 1 << 21)  # EN, STG0 interrupt, LEVEL_INT_EN
    expected.write(RTC_WDTCONFIG0, 1 << 31 | 4 << 28 | 7 << 14 | 7 << 11)  # EN, STG0 RESET_RTC, 3.2 us pulses
    lock(expected)
    expected.write(WDT_INT_MAP, 23)  # core-isa.h: XCHAL_INT23_LEVEL 3, external; PS.EXCM masks it (XCHAL_EXCM_LEVEL 3)
    expected.write(APP_WDT_INT_MAP, 23)
    expected.call("wsr.intenable", 1 << 23)


@pytest.mark.parametrize(
    ("function", "told"),
    [("watchdogs_stop", stop), ("watchdog_start", start), ("watchdog_feed", feed)],
)
def test_the_watchdogs_are_told(function: str, told: Callable[[Expected], None], chip: MakeChip) -> None:
    before = {TIMG0_INT_ENA: 1 << 1}
    double, expected = chip(before), Expected(before)
    double.run(function)
    told(expected)
    assert double.events == expected.events


# ---- Start and end --------------------------------------------------------------------------------------------------


def console_of(double: Chip) -> str:
    """What UART0 was given to send."""
    return bytes(event.value for event in double.written if event.address == UART0_FIFO_AHB).decode()


def without_console(events: list[Event]) -> list[Event]:
    """The events but for what is printed."""
    return [event for event in events if not (isinstance(event, Write) and event.address == UART0_FIFO_AHB)]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_board_starts_in_this_order(number: int, chip: MakeChip) -> None:
    """Watchdogs, supply, clock, console, flash, and the own watchdog last; it stops when the program ends."""
    before = revision(number) | {STORE5: STORED[40], SPI0_CLOCK: SPI0_DIVIDER["40m"], RESET_STATE: 1}
    double, expected = chip(before), Expected(before)
    assert double.run("board_start") == "halted"
    stop(expected)
    if number > 0:  # brownout.c, brownout_hal.c; errata RES-3.4: revision 0 does not start again after such a reset
        settings = 1 << 26 | 0x3FF << 16 | 1 << 15 | 1 << 14  # RST_ENA, RST_WAIT, PD_RF_ENA, CLOSE_FLASH_ENA; 2.43 V
        expected.write(BROWN_OUT, settings, settings | 1 << 30)
    pll_off(expected)
    oscillators(expected)
    from_crystal(expected, 40)
    pll_on(expected, 40, 240)
    from_pll(expected, 240)
    expected.write(UART0_CLKDIV, 7 << 20 | 694)
    expected.write(STORE0, 0)
    map_flash(expected)
    make_storage_ready(expected)
    start(expected)
    listen(expected)
    stop_core(expected, 1)
    stop(expected)
    assert without_console(double.events) == expected.events
    assert console_of(double) == (
        "# microgpt-lx6 v1.2-test\r\n"
        f"# ESP32 revision {number}, crystal 40 MHz, CPU 240 MHz\r\n"
        "# reset: power-on or EN\r\n"
    )


def test_what_the_rom_prints_is_sent_before_the_clock_changes(chip: MakeChip) -> None:
    """rtc_clk_init.c and bootloader_clock_init.c: esp_rom_output_tx_wait_idle() comes first."""
    double = chip({STORE5: STORED[40]})
    until_sent: list[Event] = []
    double.begin_sending(b"entry 0x40080000\r\n")
    double.watch.append((b"entry 0x40080000\r\n", lambda: until_sent.extend(double.events)))
    double.run("board_start")
    assert until_sent, "the watchdogs are stopped meanwhile"
    assert not [event for event in until_sent if isinstance(event, Call)]
    assert any(event.name == "ets_update_cpu_frequency" for event in double.events if isinstance(event, Call))


PANICKED, HUNG, ASKED = 0x50414E43, 0x48554E47, 0x41534B44


@pytest.mark.parametrize(
    ("cause", "stored", "reason"),
    [  # reset_reasons.h
        (0x01, 0, "power-on or EN"),
        (0x03, 0, "software"),
        (0x03, PANICKED, "after a panic"),
        (0x03, HUNG, "watchdog: the program hung"),
        (0x03, ASKED, "asked for"),
        (0x0C, 0, "software"),
        (0x07, 0, "watchdog"),
        (0x07, PANICKED, "after a panic"),  # and the ROM's watchdog found the start too slow: errata RES-3.8
        (0x07, HUNG, "watchdog: the program hung"),
        (0x07, ASKED, "asked for"),
        (0x08, 0, "watchdog"),
        (0x0B, 0, "watchdog"),
        (0x09, 0, "RTC watchdog"),
        (0x0D, 0, "RTC watchdog"),
        (0x10, 0, "RTC watchdog"),
        (0x0F, 0, "brown-out: the supply is too weak"),
        (0x05, 0, "unknown"),
    ],
)
def test_the_reason_of_a_reset_is_named(cause: int, stored: int, reason: str, chip: MakeChip) -> None:
    other_core = 0x0E << 6  # RESET_CAUSE_APPCPU
    double = chip({RESET_STATE: other_core | cause, STORE0: stored, STORE5: STORED[26]})
    double.run("board_start")
    assert f"crystal 26 MHz, CPU 240 MHz\r\n# reset: {reason}\r\n" in console_of(double)
    assert double.registers[STORE0] == 0, "or the next software reset would be called one after a panic"


def restart(expected: Expected, mark: int, core: int = 0) -> None:
    """By a core: the other stops before clocks change, and is let go last, for a stall would outlast the reset."""
    stop_core(expected, 1 - core)
    expected.write(STORE0, mark)
    stop(expected)
    pll_off(expected)
    release_core(expected, 1 - core)
    expected.call("software_reset")


@pytest.mark.parametrize(("event", "mark"), [(1, PANICKED), (0, PANICKED), (6, PANICKED), (5, PANICKED), (3, HUNG)])
def test_a_panic_puts_the_clock_back_before_the_reset(event: int, mark: int, chip: MakeChip) -> None:
    """system_internal.c, esp_restart_noos(): or the ROM's console and flash would be too fast.

    Event 3 is the watchdog's interrupt. It is fed first, for the delay may be longer than what its time has left.
    """
    before = dict.fromkeys(CLOCK_REGISTERS, BEFORE) | {CPU_PER_CONF: 2}
    double, expected = chip(before), Expected(before)
    assert double.run("board_panicked", event) == "reset"
    feed(expected)
    expected.call("ets_update_cpu_frequency", 240)
    expected.call("ets_delay_us", 3_000_000)
    restart(expected, mark)
    assert without_console(double.events) == expected.events
    assert double.sent == b"\r\nRebooting...\r\n", "all of it, before the clock changes"


def test_a_reset_that_is_asked_for_puts_the_clock_back_too(chip: MakeChip) -> None:
    before = dict.fromkeys(CLOCK_REGISTERS, BEFORE)
    double, expected = chip(before), Expected(before)
    assert double.run("board_reset") == "reset"
    restart(expected, ASKED)
    assert double.events == expected.events


# ---- The second core ------------------------------------------------------------------------------------------------


def stop_core(expected: Expected, core: int) -> None:
    """system_internal.c, esp_restart_noos(): reset, then stall; cpu_utility_ll.h: code 0x86, from two registers."""
    reset, code_2, code_21 = ((1 << 5, 2, 26), (1 << 4, 0, 20))[core]
    expected.set(OPTIONS0, reset)
    expected.field(OPTIONS0, 3 << code_2, 2 << code_2)
    expected.field(SW_CPU_STALL, 0x3F << code_21, 0x21 << code_21)


def release_core(expected: Expected, core: int) -> None:
    """cpu_utility_ll_unstall_cpu()."""
    code_2, code_21 = ((2, 26), (0, 20))[core]
    expected.clear(OPTIONS0, 3 << code_2)
    expected.clear(SW_CPU_STALL, 0x3F << code_21)


SECOND_CORE_REGISTERS = (APP_CACHE_CTRL1, APPCPU_CTRL_A, APPCPU_CTRL_B, APPCPU_CTRL_C, OPTIONS0, SW_CPU_STALL)


@pytest.fixture
def second_core(board: ctypes.CDLL) -> Iterator[Callable[..., None]]:
    """Function that says whether the second core answers, and which core the board's code runs on: 0, unless told."""
    answers, core = (ctypes.c_bool.in_dll(board, "recorder_answers"), ctypes.c_uint32.in_dll(board, "recorder_core"))

    def tell(is_there: bool = True, running: int = 0) -> None:
        answers.value, core.value = is_there, running

    yield tell
    tell(False)


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("held", [BEFORE, BEFORE ^ 0xFFFFFFFF], ids=hex)
def test_the_second_core_starts_in_this_order(
    held: int, answers: bool, board: ctypes.CDLL, chip: MakeChip, second_core: Callable[..., None]
) -> None:
    """cpu_start.c, do_multicore_settings() and start_other_core(); one that does not answer is stopped for good."""
    second_core(answers)
    chip().run("board_start")  # from now on the clock is known
    before = dict.fromkeys(SECOND_CORE_REGISTERS, held)
    double, expected = chip(before), Expected(before)
    double.attach()
    board.board_start_second_core.restype = ctypes.c_bool
    assert board.board_start_second_core() == answers

    expected.call("Cache_Read_Disable", 1)
    expected.call("Cache_Flush", 1)
    expected.set(APP_CACHE_CTRL1, 1 << 13)  # DPORT_APP_CACHE_MMU_IA_CLR
    for page in range(256):
        expected.write(APP_MMU_TABLE + 4 * page, 0x100)
    expected.clear(APP_CACHE_CTRL1, 1 << 13)
    expected.call("cache_flash_mmu_set", 1, 0, 0x3F400000, 0, 64, 64)
    expected.clear(APP_CACHE_CTRL1, 1 << 4)  # DPORT_APP_CACHE_MASK_DROM0
    expected.call("Cache_Read_Enable", 1)
    release_core(expected, 1)
    expected.set(APPCPU_CTRL_B, 1)  # CLKGATE_EN
    expected.clear(APPCPU_CTRL_C, 1)  # RUNSTALL
    expected.set(APPCPU_CTRL_A, 1)  # RESETTING
    expected.clear(APPCPU_CTRL_A, 1)
    entry = ctypes.cast(board.start_second, ctypes.c_void_p).value or 0
    expected.write(APPCPU_CTRL_D, entry & 0xFFFFFFFF)  # ets_set_appcpu_boot_addr()
    expected.call("wait for the other core", 240_000_000)  # a second
    if not answers:
        stop_core(expected, 1)
    expected.write(APPCPU_CTRL_D, 0)  # call_start_cpu1()
    assert double.events == expected.events


def test_a_chip_with_one_core_is_known_by_its_fuse(board: ctypes.CDLL, chip: MakeChip) -> None:
    """efuse_ll.h, efuse_ll_get_disable_app_cpu(): bit 0 of EFUSE_BLK0_RDATA3."""
    board.board_has_second_core.restype = ctypes.c_bool
    for fuses, expected in ((0, True), (1, False), (0xFFFFFFFE, True), (0xFFFFFFFF, False)):
        chip({EFUSE_RDATA3: fuses}).attach()
        assert board.board_has_second_core() == expected


@pytest.mark.parametrize(("clock", "mhz"), [(2, 240), (1, 160)])
@pytest.mark.parametrize("core", [0, 1])
def test_either_core_ends_a_panic(
    core: int, clock: int, mhz: int, chip: MakeChip, second_core: Callable[..., None]
) -> None:
    """The second stops the first; the ROM's copy for it was never told the clock that it waits by."""
    second_core(running=core)
    before = dict.fromkeys(CLOCK_REGISTERS, BEFORE) | {SW_CPU_STALL: BEFORE, CPU_PER_CONF: clock}
    double, expected = chip(before), Expected(before)
    assert double.run("board_panicked", 1) == "reset"
    feed(expected)
    expected.call("ets_update_cpu_frequency", mhz)
    expected.call("ets_delay_us", 3_000_000)
    restart(expected, PANICKED, core)
    assert without_console(double.events) == expected.events


# ---- Random numbers -------------------------------------------------------------------------------------------------

WIFI_CLK_EN, PERIP_CLK_EN, PERIP_RST_EN, RNG_DATA = 0x3FF000CC, 0x3FF000C0, 0x3FF000C4, 0x60035144
READ_CTRL, MEAS_WAIT2, START_FORCE, READ_CTRL2 = 0x3FF48800, 0x3FF4880C, 0x3FF4882C, 0x3FF48890
SARADC_CTRL, SARADC_FSM, SAR2_PATT_TAB = 0x3FF66010, 0x3FF66018, 0x3FF6602C
I2S_CONF, I2S_CONF2, I2S_SAMPLE_RATE = 0x3FF4F008, 0x3FF4F0A8, 0x3FF4F0B0
NOISE_REGISTERS = (
    *(WIFI_CLK_EN, PERIP_CLK_EN, PERIP_RST_EN, TEST_MUX, READ_CTRL, MEAS_WAIT2, START_FORCE, READ_CTRL2, SARADC_CTRL),
    *(SARADC_FSM, I2S_CONF, I2S_CONF2, I2S_SAMPLE_RATE),
)


@pytest.mark.parametrize("held", [BEFORE, BEFORE ^ 0xFFFFFFFF], ids=hex)
def test_noise_is_switched_on_read_and_put_back(held: int, board: ctypes.CDLL, chip: MakeChip) -> None:
    """bootloader_random_esp32.c, line by line; each bit is found set and clear."""
    before = dict.fromkeys(NOISE_REGISTERS, held)
    double, expected = chip(before), Expected(before)
    double.attach()
    words = iter(range(1, 65))
    double.answers[RNG_DATA] = lambda: next(words) << 24
    board.board_random.restype = ctypes.c_uint32
    drawn = board.board_random()

    expected.set(WIFI_CLK_EN, 1 << 15)
    expected.field(TEST_MUX, 3 << 30, 2 << 30)
    expected.set(TEST_MUX, 1 << 29)
    expected.set(START_FORCE, 1 << 4)
    expected.set(PERIP_CLK_EN, 1 << 4)
    expected.clear(START_FORCE, 1 << 8 | 1 << 9)
    for word in range(4):
        expected.write(SAR2_PATT_TAB + 4 * word, 0xADADADAD)
    expected.set(MEAS_WAIT2, 3 << 18)
    expected.set(READ_CTRL, 1 << 27)
    expected.set(READ_CTRL2, 1 << 28)
    expected.set(SARADC_CTRL, 1 << 2)
    expected.field(SARADC_CTRL, 0xFF << 7, 4 << 7)
    expected.field(SARADC_FSM, 0xFF << 16 | 0xFF, 10 << 16 | 8)
    expected.clear(SARADC_CTRL, 3 << 3)
    expected.set(SARADC_CTRL, 1 << 5)
    expected.clear(SARADC_CTRL, 1 << 25)
    expected.field(I2S_SAMPLE_RATE, 0x3F << 6, 20 << 6)
    expected.set(SARADC_CTRL, 1 << 26)
    expected.clear(I2S_CONF2, 1 << 0)
    expected.set(I2S_CONF2, 1 << 5 | 1 << 4 | 1 << 3)
    expected.set(I2S_CONF, 1 << 5)

    for _ in range(64):  # hw_random.c: what is read in between is the same word
        expected.call("ets_delay_us", 1)

    expected.clear(I2S_CONF, 1 << 5)
    expected.set(I2S_CONF, 1 << 1)
    expected.clear(I2S_CONF, 1 << 1)
    expected.clear(I2S_CONF2, 1 << 5 | 1 << 4 | 1 << 3 | 1 << 0)
    expected.clear(PERIP_CLK_EN, 1 << 4)
    expected.clear(READ_CTRL, 1 << 27)
    expected.clear(READ_CTRL2, 1 << 28)
    expected.clear(START_FORCE, 1 << 4)
    expected.clear(SARADC_CTRL, 1 << 2 | 1 << 5 | 1 << 26)
    expected.clear(MEAS_WAIT2, 3 << 18)
    expected.field(SARADC_FSM, 0xFF << 16, 8 << 16)
    expected.set(PERIP_RST_EN, 1 << 4)
    expected.clear(PERIP_RST_EN, 1 << 4)
    expected.clear(TEST_MUX, 1 << 29)
    expected.clear(TEST_MUX, 3 << 30)
    assert double.events == expected.events
    assert drawn == 64 << 24, "the exclusive or of all 64: 1 ^ 2 ^ ... ^ 64"


# ---- The whole firmware ---------------------------------------------------------------------------------------------


Firmware = Callable[..., Chip]


@pytest.fixture(scope="module")
def linked(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Board and program as a library, with the default options."""
    library = tmp_path_factory.mktemp("firmware") / "firmware.so"
    program = sources("core", "kernels/plain", "app", "app/check")
    return compiled(library, program, f'-DSETTINGS_FILE="{programs.settings()}"')


@pytest.fixture
def firmware(programs: Programs, linked: Path, tmp_path: Path) -> Iterator[Firmware]:
    """Function that makes a chip with the whole program, these options in it, and flash with the names or another."""
    with ExitStack() as opened:

        def make(flash: bytes | None = None, **chosen: object) -> Chip:
            opened.enter_context(memory(programs.dataset().read_bytes() if flash is None else flash))
            before = revision(3) | {STORE5: STORED[40], SPI0_CLOCK: SPI0_DIVIDER["40m"], RESET_STATE: 1}
            library = tmp_path / "firmware.so"
            library.write_bytes(with_settings(linked.read_bytes(), **chosen))
            return Chip(ctypes.CDLL(str(library)), before)

        yield make


MORE_NAMES = b"# more names; a key stops them and gives a prompt\r\n"


def split_at(text: bytes, events: list[Event]) -> tuple[list[Event], list[Event]]:
    """The events until a text was given to the console, and those after it."""
    said = bytearray()
    for number, event in enumerate(events):
        if isinstance(event, Write) and event.address == UART0_FIFO_AHB:
            said.append(event.value)
            if said.endswith(text):
                return events[: number + 1], events[number + 1 :]
    raise AssertionError(f"{text!r} was not said, but {bytes(said)!r}")


def test_the_program_learns_the_names_of_the_host_and_feeds_the_watchdog(
    firmware: Firmware, programs: Programs
) -> None:
    chosen = {"steps": 30, "samples": 5, "seed": 7}
    double = firmware(**chosen)
    double.watch.append((MORE_NAMES, double.switch_off))
    assert double.run("board_start") == "switched off"
    sent = double.sent.decode().replace("\r\n", "\n")
    printed = "".join(line for line in sent.splitlines(keepends=True) if not line.startswith("# "))
    assert printed == programs.run_host(**chosen).stdout
    events, _ = split_at(MORE_NAMES, double.events)
    slow = ("esp_rom_spiflash_erase_sector", "esp_rom_spiflash_write")
    saving = len([event for event in events if isinstance(event, Call) and event.name in slow])
    assert saving > 14 + 14, "erased, and programmed, are at least so many sectors"
    fed = 1 + 30 + 5 + saving  # at start, after each step, after each sample, before each of these
    assert (events.count(Write(WDTFEED, 1)), events.count(Write(RTC_WDTFEED, 1 << 31))) == (fed, fed)


def test_a_model_that_fills_one_bank_goes_on_in_the_other_and_touches_nothing_else(
    firmware: Firmware, programs: Programs
) -> None:
    chosen = {"n_embd": 28, "n_layer": 2, "steps": 5, "samples": 2}
    double = firmware(**chosen)
    double.watch.append((MORE_NAMES, double.switch_off))
    assert double.run("board_start") == "switched off"
    assert programs.run_host(**chosen).stdout.splitlines()[-1] in double.sent.decode().splitlines()
    after = ctypes.string_at(MEMORY_START, MEMORY_BYTES)
    at = 0
    for start, length in BANKS:
        begin = start - MEMORY_START
        assert after[at:begin] == b"\xff" * (begin - at)
        at = begin + length
        assert after[begin:at].count(0xFF) < length / 2
    assert at == MEMORY_BYTES


def test_names_are_invented_until_a_key_is_pressed_and_the_watchdog_fed_meanwhile(firmware: Firmware) -> None:
    double = firmware(steps=3, samples=1)
    double.watch.append((MORE_NAMES, lambda: None))
    double.watch.extend([(b"\r\n", lambda: None)] * 20)
    double.watch.append((b"\r\n", lambda: double.type(b"i")))
    double.watch.append((b"> i", double.switch_off))
    assert double.run("board_start") == "switched off"
    _, after = split_at(MORE_NAMES, double.events)
    events, _ = split_at(b"> i", after)
    names = events.count(Write(UART0_FIFO_AHB, ord("\n")))
    assert names > 20
    assert events.count(Write(WDTFEED, 1)) in (names + 1, names + 2), "after each name and after the turn of the prompt"


def test_a_key_stops_training_and_is_the_first_of_a_line(firmware: Firmware) -> None:
    double = firmware(steps=1000, samples=1)
    double.watch.append((b"step    1 / 1000", lambda: double.type(b"set seed=4294967296 steps=9\r")))
    double.watch.append((b"ok\r\n> ", lambda: double.type(b"train\r")))
    double.watch.append((b"weights crc32: ", lambda: None))
    double.watch.append((b"ok\r\n> ", double.switch_off))
    assert double.run("board_start") == "switched off"
    lines = double.sent.decode().splitlines()
    assert any(re.fullmatch(r"# stopped at step \d+ of 1000; train goes on", line) for line in lines)
    assert "> set seed=4294967296 steps=9" in lines
    assert "# seed 0x0000000100000000" in lines


def test_a_firmware_that_is_not_whole_in_flash_says_so_and_rests(board: ctypes.CDLL, chip: MakeChip) -> None:
    double = chip()
    mark = ctypes.c_uint32.in_dll(board, "texts_mark")
    whole, mark.value = mark.value, 0xFFFFFFFF
    try:
        assert double.run("board_start") == "halted"
    finally:
        mark.value = whole
    assert double.sent.endswith(b"# error: the firmware in flash is not whole: scons flash\r\n")


@pytest.mark.parametrize(
    ("offset", "replacement", "message"),
    [
        (0, b"\xff" * 32, "missing"),
        (4, b"\x09", "in another format"),
        (16, b"\x00\x01", "without characters, or with more than 255"),
        (5000, b"\xaa\x55", "damaged"),
    ],
)
def test_a_wrong_data_set_is_refused_by_name_and_the_board_rests(
    offset: int, replacement: bytes, message: str, firmware: Firmware, programs: Programs
) -> None:
    chosen = {"steps": 3, "samples": 1}
    flash = bytearray(programs.dataset().read_bytes())
    flash[offset : offset + len(replacement)] = replacement
    double = firmware(flash=bytes(flash), **chosen)
    assert double.run("board_start") == "halted"
    last = double.sent.decode().splitlines()[-1]
    assert re.fullmatch(f"# error: the data set is {message}(: .*)?; build and flash both: scons flash", last)
