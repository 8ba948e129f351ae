// SPDX-License-Identifier: MIT
#include "board/esp32/watchdog.h"

#include <stdint.h>

#include "board/esp32/clock.h"
#include "board/esp32/registers.h"
#include "board/xtensa/core.h"

enum { TICKS_PER_MS = 2, SLOW_CLOCK_HZ = 150000 };

// The processor's interrupt 23 is one of level 3 (ESP-IDF: core-isa.h), and not taken while a window is saved or restored.
// watchdog_interrupt.S makes a PANIC_WATCHDOG of it.
enum { WATCHDOG_INTERRUPT = 23 };

static void unlock(void) {
    write_register(TIMG0_WDTWPROTECT, WDT_WKEY);
    write_register(RTC_CNTL_WDTWPROTECT, WDT_WKEY);
}

static void lock(void) {
    write_register(TIMG0_WDTWPROTECT, 0);
    write_register(RTC_CNTL_WDTWPROTECT, 0);
}

static void feed_unlocked(void) {
    write_register(TIMG0_WDTFEED, 1);
    write_register(RTC_CNTL_WDTFEED, RTC_CNTL_WDT_FEED);
}

void watchdogs_stop(void) {
    unlock();
    write_register(TIMG0_WDTCONFIG0, 0);
    write_register(RTC_CNTL_WDTCONFIG0, 0);
    lock();
}

// A reset by the timer group's watchdog would leave the chip on the PLL, with APB at 120 MHz: too fast for the ROM's console and
// for flash (ESP-IDF: rtc_clk_init.c). So its first stage is an interrupt, and the panic puts the clock back. Should not even
// that work, the RTC watchdog resets the clocks too.
void watchdog_start(void) {
    unlock();
    write_register(TIMG0_WDTCONFIG1, (uint32_t)(APB_MHZ * 1000 / TICKS_PER_MS) << 16);
    write_register(TIMG0_WDTCONFIG2, WATCHDOG_SECONDS * 1000 * TICKS_PER_MS);
    write_register(RTC_CNTL_WDTCONFIG1, 2 * WATCHDOG_SECONDS * SLOW_CLOCK_HZ);
    feed_unlocked();
    write_register(TIMG0_INT_CLR, TIMG_WDT_INT);
    set_bits(TIMG0_INT_ENA, TIMG_WDT_INT);
    write_register(TIMG0_WDTCONFIG0, TIMG_WDT_EN | TIMG_WDT_STG0_INTERRUPT | TIMG_WDT_LEVEL_INT_EN);
    write_register(RTC_CNTL_WDTCONFIG0, RTC_CNTL_WDT_EN | RTC_CNTL_WDT_STG0_RESET_RTC | RTC_CNTL_WDT_LONG_RESET_PULSES);
    lock();
    write_register(DPORT_PRO_TG_WDT_LEVEL_INT_MAP, WATCHDOG_INTERRUPT);
    write_register(DPORT_APP_TG_WDT_LEVEL_INT_MAP, WATCHDOG_INTERRUPT);
    watchdog_watch_this_core();
}

void watchdog_watch_this_core(void) { core_enable_interrupts(1u << WATCHDOG_INTERRUPT); }

void watchdog_feed(void) {
    unlock();
    feed_unlocked();
    lock();
}
