// SPDX-License-Identifier: MIT
// What only the processor's own instructions can do (Xtensa ISA reference manual). Tests put a double before this file.
#ifndef XTENSA_CORE_H
#define XTENSA_CORE_H

#include <stdint.h>

// Cycles since reset, modulo 2^32.
static inline uint32_t core_cycles(void) {
    uint32_t cycles;
    __asm__ volatile("rsr %0, ccount" : "=r"(cycles));
    return cycles;
}

// Lets these interrupts through too, one bit for each.
static inline void core_enable_interrupts(uint32_t mask) {
    uint32_t enabled;
    __asm__ volatile("rsr %0, intenable" : "=r"(enabled));
    __asm__ volatile("wsr %0, intenable\n\trsync" : : "r"(enabled | mask) : "memory");
}

// Sleeps for ever.
_Noreturn static inline void core_halt(void) {
    for (;;) {
        __asm__ volatile("waiti 15");
    }
}

#endif
