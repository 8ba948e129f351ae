// SPDX-License-Identifier: MIT
// The second core: APP CPU in the Technical Reference Manual. Started as ESP-IDF does (cpu_start.c, start_other_core();
// cpu_utility_ll.h), after which it accesses no peripheral: DPORT must not be accessed by both at once (errata CPU-3.10,
// CPU-3.16), and RAM is enough for what they tell each other.
#include "board/board.h"
#include "board/esp32/flash.h"
#include "board/esp32/registers.h"
#include "board/esp32/second_core.h"
#include "board/esp32/watchdog.h"
#include "board/xtensa/core.h"
#include "board/xtensa/panic.h"
#include "board/xtensa/start.h"

enum { APP_CPU = 1, ANSWER_MS = 1000 }; // its ROM takes less than one

static volatile bool answered;

_Noreturn void board_start_on_second_core(void) {
    watchdog_watch_this_core();
    answered = true;
    app_second_core();
}

bool board_has_second_core(void) { return (read_register(EFUSE_BLK0_RDATA3) & EFUSE_DISABLE_APP_CPU) == 0; }

static void release(uint32_t cpu) {
    clear_bits(RTC_CNTL_OPTIONS0, RTC_CNTL_SW_STALL_C0(cpu));
    clear_bits(RTC_CNTL_SW_CPU_STALL, RTC_CNTL_SW_STALL_C1(cpu));
}

bool board_start_second_core(void) {
    flash_map_for_second_core();
    release(APP_CPU);
    set_bits(DPORT_APPCPU_CTRL_B, DPORT_APPCPU_CLKGATE_EN);
    clear_bits(DPORT_APPCPU_CTRL_C, DPORT_APPCPU_RUNSTALL);
    set_bits(DPORT_APPCPU_CTRL_A, DPORT_APPCPU_RESETTING);
    clear_bits(DPORT_APPCPU_CTRL_A, DPORT_APPCPU_RESETTING);
    write_register(DPORT_APPCPU_CTRL_D, (uint32_t)(uintptr_t)start_second);
    const bool running = core_wait_for(&answered, ANSWER_MS * board_cycles_per_millisecond());
    if (!running) {
        board_stop_other_core();
    }
    write_register(DPORT_APPCPU_CTRL_D, 0); // or it would begin anew after a reset
    return running;
}

void board_stop_other_core(void) {
    const uint32_t other = 1 - core_number();
    set_bits(RTC_CNTL_OPTIONS0, RTC_CNTL_SW_CPU_RST(other)); // first, or it could stop with a lock on memory (ESP-IDF)
    write_field(RTC_CNTL_OPTIONS0, RTC_CNTL_SW_STALL_C0(other), RTC_CNTL_SW_STALLED_C0(other));
    write_field(RTC_CNTL_SW_CPU_STALL, RTC_CNTL_SW_STALL_C1(other), RTC_CNTL_SW_STALLED_C1(other));
}

void other_core_release(void) { release(1 - core_number()); }
