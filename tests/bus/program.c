// SPDX-License-Identifier: MIT
// A program for the board that has ended before it begins; app/main.c is the real one.
#include "board/board.h"

void app_begin(void) {}

enum app_state app_turn(void) { return APP_ENDED; }

int app_status(void) { return 0; }

_Noreturn void app_second_core(void) {
    for (;;) {
    }
}
