// SPDX-License-Identifier: MIT
// What only the processor's own instructions can do (Xtensa ISA reference manual). Tests put a double before this file.
#ifndef XTENSA_CORE_H
#define XTENSA_CORE_H

#include <stdbool.h>
#include <stdint.h>

// The core that asks: 0, or 1 on the second. start.S has put it into a register that nothing else uses.
static inline uint32_t core_number(void) {
    uint32_t number;
    __asm__ volatile("rur.threadptr %0" : "=r"(number));
    return number;
}

// Cycles since reset, modulo 2^32.
static inline uint32_t core_cycles(void) {
    uint32_t cycles;
    __asm__ volatile("rsr %0, ccount" : "=r"(cycles));
    return cycles;
}

// Waits until another core sets a flag, for so many cycles at most; returns whether it has.
static inline bool core_wait_for(const volatile bool *flag, uint32_t cycles) {
    const uint32_t begin = core_cycles();
    while (!*flag && core_cycles() - begin < cycles) {
    }
    return *flag;
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
