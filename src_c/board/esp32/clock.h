// SPDX-License-Identifier: MIT
#ifndef ESP32_CLOCK_H
#define ESP32_CLOCK_H

#include <stdint.h>

#define APB_MHZ 80 // peripherals' clock, after clock_start()

struct clock {
    uint32_t crystal_mhz; // 40 or 26
    uint32_t cpu_mhz;     // 240, or 160 on parts that are rated for that
};

// Takes the processor from the crystal to the PLL, and the peripherals to 80 MHz. Whoever derives a rate from APB, like the
// console, sets it anew.
struct clock clock_start(void);

// Back to the crystal. A chip that is reset while it runs from the PLL would boot with its UART and flash too fast.
void clock_stop(void);

// The ROM counts the time of waiting separately on each core. Called on the second before its first wait, there and when the
// memory of board_memory() is no longer in use; on the first it changes nothing.
void clock_tell_rom(void);

// Waits. Takes as long at any clock.
void clock_wait_us(uint32_t microseconds);

#endif
