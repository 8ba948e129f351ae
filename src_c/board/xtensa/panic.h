// SPDX-License-Identifier: MIT
#ifndef XTENSA_PANIC_H
#define XTENSA_PANIC_H

#include <stdint.h>

// The exit status of a program that ended in a panic, where there is someone to take it.
#define PANIC_STATUS 70

// Events 2 to 7 are interrupts of that level, 6 being the debug exception.
enum panic_event { PANIC_DOUBLE_EXCEPTION = 0, PANIC_EXCEPTION = 1, PANIC_WATCHDOG = 3, PANIC_DEBUG = 6 };

// Special registers as they were, in the order in which panic_entry.S stores them.
struct panic_special {
    uint32_t ps, sar, exccause, excvaddr, lbeg, lend, lcount, windowstart, debugcause, epc1, eps6;
};

// Prints what happened, the registers and a backtrace, in the form that ESP-IDF's monitor decodes, and leaves the rest to
// board_panicked(). registers: all address registers, window by window from the current one on, up to special.
_Noreturn void panic(uint32_t event, uint32_t pc, const uint32_t *registers, const struct panic_special *special,
                     uint32_t windowbase);

// Stops the core that does not ask, whatever it does; there may be none.
void board_stop_other_core(void);

// What each board does after a panic has been printed.
_Noreturn void board_panicked(uint32_t event);

#endif
