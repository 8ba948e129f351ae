// SPDX-License-Identifier: MIT
#ifndef ESP32_CONSOLE_H
#define ESP32_CONSOLE_H

// The console is UART0 at the rate that the ROM set, 115200 baud.

// Waits until the last byte given to board_console_write() is on the wire.
void console_drain(void);

#endif
