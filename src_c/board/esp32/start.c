// SPDX-License-Identifier: MIT
#include "board/xtensa/start.h"

#include "board/board.h"
#include "board/esp32/console.h"
#include "board/esp32/dataset.h"
#include "board/esp32/registers.h"

// The ROM leaves two watchdogs running that would reset the chip within a second.
static void watchdogs_off(void) {
    TIMG0_WDTWPROTECT = WDT_WKEY;
    TIMG0_WDTCONFIG0 = 0;
    TIMG0_WDTWPROTECT = 0;
    RTC_CNTL_WDTWPROTECT = WDT_WKEY;
    RTC_CNTL_WDTCONFIG0 = 0;
    RTC_CNTL_WDTWPROTECT = 0;
}

_Noreturn void board_start(void) {
    watchdogs_off();
    dataset_map();
    board_exit(app_main());
}

_Noreturn void board_exit(int status) {
    (void)status;  // nobody is there to take it
    console_drain();
    for (;;) {
        __asm__ volatile("waiti 15");
    }
}
