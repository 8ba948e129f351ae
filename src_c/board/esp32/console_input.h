// SPDX-License-Identifier: MIT
// Where console_interrupt.S puts what UART0 receives. C and assembly include this.
#ifndef ESP32_CONSOLE_INPUT_H
#define ESP32_CONSOLE_INPUT_H

#define CONSOLE_INPUT_BYTES 128 // a power of two
#define CONSOLE_INPUT_WRITTEN 128
#define CONSOLE_INPUT_TAKEN 132
#define CONSOLE_INPUT_LOST 136
#define CONSOLE_INPUT_SAVED 140

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct console_input {
    uint8_t bytes[CONSOLE_INPUT_BYTES]; // a ring
    uint32_t written;           // how many ever were, modulo 2^32
    uint32_t taken;
    uint32_t lost; // not 0: some found no room
    uint32_t saved[4]; // registers of what was interrupted
};
_Static_assert(offsetof(struct console_input, written) == CONSOLE_INPUT_WRITTEN, "console_input.h");
_Static_assert(offsetof(struct console_input, taken) == CONSOLE_INPUT_TAKEN, "console_input.h");
_Static_assert(offsetof(struct console_input, lost) == CONSOLE_INPUT_LOST, "console_input.h");
_Static_assert(offsetof(struct console_input, saved) == CONSOLE_INPUT_SAVED, "console_input.h");
#endif

#endif
