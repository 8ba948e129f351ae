// SPDX-License-Identifier: MIT
#ifndef ESP32_WATCHDOG_H
#define ESP32_WATCHDOG_H

#define WATCHDOG_SECONDS 5

// Stops the watchdogs that the ROM leaves running, which would reset the chip within a second, and our own.
void watchdogs_stop(void);

// From now on the program panics when watchdog_feed() is not called for WATCHDOG_SECONDS; the chip is reset after twice that.
// APB must run at APB_MHZ.
void watchdog_start(void);

void watchdog_feed(void);

// That panic comes on the core that asks too, unless it is waiting for the other. No peripheral is accessed.
void watchdog_watch_this_core(void);

#endif
