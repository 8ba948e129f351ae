// SPDX-License-Identifier: MIT
#include "board/xtensa/start.h"

#include "board/board.h"
#include "board/esp32/clock.h"
#include "board/esp32/console.h"
#include "board/esp32/flash.h"
#include "board/esp32/registers.h"
#include "board/esp32/second_core.h"
#include "board/esp32/storage.h"
#include "board/esp32/watchdog.h"
#include "board/xtensa/core.h"
#include "board/xtensa/panic.h"
#include "generated/version.h"
#include "text/print.h"

// Left before a software reset, in a register that it keeps. So does a reset by the ROM's watchdog, should that find the start
// too slow.
enum { PANICKED = 0x50414E43, HUNG = 0x48554E47, ASKED = 0x41534B44 };

enum { PANIC_DELAY_US = 3000000 };

static struct clock clock;

void rom_software_reset(void);

// Silicon revision, 0 to 3, from the three bits that newer chips set one after the other.
static uint32_t revision(void) {
    if ((read_register(EFUSE_BLK0_RDATA3) & EFUSE_CHIP_VER_REV1) == 0) {
        return 0;
    }
    if ((read_register(EFUSE_BLK0_RDATA5) & EFUSE_CHIP_VER_REV2) == 0) {
        return 1;
    }
    return (read_register(SYSCON_DATE) & SYSCON_DATE_REV3) == 0 ? 2 : 3;
}

// A supply below 2.43 V resets the chip, as ESP-IDF sets it (brownout.c). Not on revision 0, which does not start again after
// such a reset (errata RES-3.4).
static void watch_supply(void) {
    if (revision() == 0) {
        return;
    }
    const uint32_t settings = RTC_CNTL_BROWN_OUT_CLOSE_FLASH_ENA | RTC_CNTL_BROWN_OUT_PD_RF_ENA | RTC_CNTL_BROWN_OUT_RST_WAIT |
                              RTC_CNTL_BROWN_OUT_RST_ENA | RTC_CNTL_DBROWN_OUT_THRES_2V43;
    write_register(RTC_CNTL_BROWN_OUT, settings);
    write_register(RTC_CNTL_BROWN_OUT, settings | RTC_CNTL_BROWN_OUT_ENA);
}

static const char *reset_reason(uint32_t cause, uint32_t stored) {
    if (stored == PANICKED) {
        return "after a panic";
    }
    if (stored == HUNG) {
        return "watchdog: the program hung";
    }
    if (stored == ASKED) {
        return "asked for";
    }
    switch (cause) {
    case 0x01:
        return "power-on or EN";
    case 0x03:
    case 0x0C:
        return "software";
    case 0x07:
    case 0x08:
    case 0x0B:
        return "watchdog";
    case 0x09:
    case 0x0D:
    case 0x10:
        return "RTC watchdog";
    case 0x0F:
        return "brown-out: the supply is too weak";
    default:
        return "unknown";
    }
}

void board_print_info(void) {
    print_text("ESP32 revision ");
    print_unsigned(revision(), 1);
    print_text(", crystal ");
    print_unsigned(clock.crystal_mhz, 1);
    print_text(" MHz, CPU ");
    print_unsigned(clock.cpu_mhz, 1);
    print_text(" MHz\n");
}

static void report(void) {
    print_text("# microgpt-lx6 " VERSION "\n# ");
    board_print_info();
    print_text("# reset: ");
    const uint32_t cause = RTC_CNTL_RESET_CAUSE_PROCPU(read_register(RTC_CNTL_RESET_STATE));
    print_text(reset_reason(cause, read_register(RTC_CNTL_STORE0)));
    print_text("\n");
    write_register(RTC_CNTL_STORE0, 0);
}

_Noreturn void board_start(void) {
    watchdogs_stop();
    watch_supply();
    console_drain();
    clock = clock_start();
    console_start();
    report();
    if (!flash_map()) {
        print_text("# error: the firmware in flash is not whole: scons flash\n");
        board_exit(1);
    }
    storage_start();
    watchdog_start();
    console_listen_start();
    app_begin();
    while (app_turn() != APP_ENDED) {
        watchdog_feed();
    }
    board_exit(app_status());
}

bool board_is_interactive(void) { return true; }

bool board_is_chip(void) { return true; }

uint32_t board_cycles(void) { return core_cycles(); }

uint32_t board_cycles_per_millisecond(void) { return 1000 * clock.cpu_mhz; }

_Noreturn void board_exit(int status) {
    (void)status; // nobody is there to take it
    board_stop_other_core();
    console_drain();
    watchdogs_stop();
    core_halt();
}

// mark: what the next start says of it.
_Noreturn static void restart(uint32_t mark) {
    board_stop_other_core();
    write_register(RTC_CNTL_STORE0, mark);
    console_drain();
    watchdogs_stop();
    clock_stop();
    other_core_release();
    rom_software_reset();
    for (;;) {
    }
}

_Noreturn void board_reset(void) { restart(ASKED); }

_Noreturn void board_panicked(uint32_t event) {
    watchdog_feed(); // for the time that this takes
    print_text("\nRebooting...\n");
    clock_tell_rom();
    clock_wait_us(PANIC_DELAY_US);
    restart(event == PANIC_WATCHDOG ? HUNG : PANICKED);
}
