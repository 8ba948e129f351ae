// SPDX-License-Identifier: MIT
#include "board/xtensa/print.h"

#include "board/board.h"

void board_print(const char *text) {
    uint32_t length = 0;
    while (text[length]) {
        length++;
    }
    board_console_write(text, length);
}
