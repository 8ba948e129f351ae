// SPDX-License-Identifier: MIT
// Where text goes: all that src_c/text needs of a board.
#ifndef BOARD_CONSOLE_H
#define BOARD_CONSOLE_H

#include <stdint.h>

// Writes length bytes of UTF-8 to the console; returns when they are handed over.
void board_console_write(const char *text, uint32_t length);

#endif
