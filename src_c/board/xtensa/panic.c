// SPDX-License-Identifier: MIT
#include "board/xtensa/panic.h"

#include <stdbool.h>

#include "board/board.h"

static void print(const char *text) {
    uint32_t length = 0;
    while (text[length]) {
        length++;
    }
    board_console_write(text, length);
}

static void print_hex(uint32_t value) {
    char digits[10] = {'0', 'x'};
    for (int i = 0; i < 8; i++) {
        digits[2 + i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    }
    board_console_write(digits, sizeof digits);
}

static void print_below_100(uint32_t value) {
    char tens = '0';
    while (value >= 10) {
        value -= 10;
        tens++;
    }
    char digits[2] = {tens, (char)('0' + value)};
    if (tens == '0') {
        board_console_write(digits + 1, 1);
    } else {
        board_console_write(digits, 2);
    }
}

_Noreturn void panic(uint32_t event, uint32_t pc, uint32_t cause, uint32_t address) {
    static bool panicking;
    if (panicking) {
        board_exit(PANIC_STATUS);
    }
    panicking = true;
    if (event > PANIC_EXCEPTION) {
        print("\n# interrupt: level ");
        print_below_100(event);
        print(" at ");
        print_hex(pc);
    } else {
        print(event == PANIC_EXCEPTION ? "\n# exception: cause " : "\n# double exception: cause ");
        print_below_100(cause);
        print(" at ");
        print_hex(pc);
        print(" address ");
        print_hex(address);
    }
    print("\n");
    board_exit(PANIC_STATUS);
}
