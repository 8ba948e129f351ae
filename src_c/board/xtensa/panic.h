// SPDX-License-Identifier: MIT
#ifndef XTENSA_PANIC_H
#define XTENSA_PANIC_H

#include <stdint.h>

// The exit status of a program that ended in an exception.
#define PANIC_STATUS 70

// Events 2 to 7 are interrupts of that level, 6 being the debug exception.
enum panic_event { PANIC_DOUBLE_EXCEPTION = 0, PANIC_EXCEPTION = 1 };

// Prints one line about an exception or an interrupt that nobody asked for, and ends the program. `cause` and `address`
// are EXCCAUSE and EXCVADDR, the latter left from earlier unless the cause is about memory. Called by panic_entry.
_Noreturn void panic(uint32_t event, uint32_t pc, uint32_t cause, uint32_t address);

#endif
