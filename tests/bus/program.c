// SPDX-License-Identifier: MIT
// A program for the board that does nothing; app/main.c is the real one.
#include "board/board.h"

int app_main(void) { return 0; }
