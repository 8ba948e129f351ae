// SPDX-License-Identifier: MIT
#include "board/xtensa/start.h"

#include "board/board.h"
#include "board/esp32/clock.h"
#include "board/esp32/console.h"
#include "board/esp32/dataset.h"
#include "board/esp32/registers.h"
#include "board/esp32/watchdog.h"
#include "board/xtensa/panic.h"
#include "generated/version.h"
#include "text/print.h"

// Left in registers that a reset keeps.
enum { RUNNING = 0x524E4E47, PANICKED = 0x50414E43 };

enum { PANIC_DELAY_US = 3000000 };

static struct clock clock;

void rom_software_reset(void);

// Silicon revision, 0 to 3, from the three bits that newer chips set one after the other.
static uint32_t revision(void) {
    uint32_t value = 0;
    value += (EFUSE_BLK0_RDATA3 & EFUSE_CHIP_VER_REV1) != 0;
    value += (EFUSE_BLK0_RDATA5 & EFUSE_CHIP_VER_REV2) != 0;
    value += (SYSCON_DATE & SYSCON_DATE_REV3) != 0;
    return value;
}

static const char *reset_reason(uint32_t cause, uint32_t stored) {
    switch (cause) {
    case 0x01:
        return "power-on or EN";
    case 0x03:
    case 0x0C:
        return stored == PANICKED ? "after a panic" : "software";
    case 0x07:
    case 0x08:
    case 0x0B:
        return stored == RUNNING ? "watchdog: the program hung" : "watchdog";
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

static void report(void) {
    print_text("# microgpt-lx6 " VERSION "\n# ESP32 revision ");
    print_unsigned(revision(), 1);
    print_text(", crystal ");
    print_unsigned(clock.crystal_mhz, 1);
    print_text(" MHz, CPU ");
    print_unsigned(clock.cpu_mhz, 1);
    print_text(" MHz\n# reset: ");
    print_text(reset_reason(RTC_CNTL_RESET_CAUSE_PROCPU(RTC_CNTL_RESET_STATE), RTC_CNTL_STORE0));
    print_text("\n");
}

_Noreturn void board_start(void) {
    watchdogs_stop();
    console_drain();
    clock = clock_start();
    console_start();
    report();
    dataset_map();
    RTC_CNTL_STORE0 = RUNNING;
    watchdog_start();
    board_exit(app_main());
}

void board_alive(void) { watchdog_feed(); }

bool board_is_interactive(void) { return true; }

uint32_t board_cycles(void) {
    uint32_t cycles;
    __asm__ volatile("rsr %0, ccount" : "=r"(cycles));
    return cycles;
}

uint32_t board_cycles_per_millisecond(void) { return 1000 * clock.cpu_mhz; }

_Noreturn void board_exit(int status) {
    (void)status; // nobody is there to take it
    console_drain();
    watchdogs_stop();
    for (;;) {
        __asm__ volatile("waiti 15");
    }
}

_Noreturn void board_panicked(void) {
    print_text("\nRebooting...\n");
    RTC_CNTL_STORE0 = PANICKED;
    clock_wait_us(PANIC_DELAY_US);
    console_drain();
    watchdogs_stop();
    clock_stop();
    rom_software_reset();
    for (;;) {
    }
}
