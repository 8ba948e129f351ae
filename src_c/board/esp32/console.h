// SPDX-License-Identifier: MIT
#ifndef ESP32_CONSOLE_H
#define ESP32_CONSOLE_H

// The console is UART0, 8N1, at CONSOLE_BAUD from console_start() on; until then at the ROM's 115200 baud.

// Sets the rate for a peripheral clock of APB_MHZ.
void console_start(void);

// Takes what is typed from now on, for board_console_read().
void console_listen_start(void);

// Waits until the last byte given to board_console_write() is on the wire.
void console_drain(void);

#endif
