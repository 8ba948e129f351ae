// SPDX-License-Identifier: MIT
#include "board/esp32/watchdog.h"

#include <stdint.h>

#include "board/esp32/clock.h"
#include "board/esp32/registers.h"

enum { TICKS_PER_MS = 2 };

void watchdogs_stop(void) {
    TIMG0_WDTWPROTECT = WDT_WKEY;
    TIMG0_WDTCONFIG0 = 0;
    TIMG0_WDTWPROTECT = 0;
    RTC_CNTL_WDTWPROTECT = WDT_WKEY;
    RTC_CNTL_WDTCONFIG0 = 0;
    RTC_CNTL_WDTWPROTECT = 0;
}

void watchdog_start(void) {
    TIMG0_WDTWPROTECT = WDT_WKEY;
    TIMG0_WDTCONFIG1 = (uint32_t)(APB_MHZ * 1000 / TICKS_PER_MS) << 16;
    TIMG0_WDTCONFIG2 = WATCHDOG_SECONDS * 1000 * TICKS_PER_MS;
    TIMG0_WDTFEED = 1;
    TIMG0_WDTCONFIG0 = TIMG_WDT_EN | TIMG_WDT_STG0_RESET_SYSTEM | TIMG_WDT_LONG_RESET_PULSES;
    TIMG0_WDTWPROTECT = 0;
}

void watchdog_feed(void) {
    TIMG0_WDTWPROTECT = WDT_WKEY;
    TIMG0_WDTFEED = 1;
    TIMG0_WDTWPROTECT = 0;
}
