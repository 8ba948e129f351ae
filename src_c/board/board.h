// SPDX-License-Identifier: MIT
// What the program needs of the place it runs in. A folder beside this file for each: host, sim (emulated core), esp32.
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

// Writes length bytes of UTF-8 to the console; returns when they are handed over.
void board_console_write(const char *text, uint32_t length);

// The packed data set, readable in place and 4-byte aligned (core/dataset.h).
const void *board_dataset(void);

// Ends the program: an exit status where there is someone to take it, otherwise a halt after the console has drained.
_Noreturn void board_exit(int status);

// The program, in app/main.c. Boards call it with stack, data and zeroed bss ready. Returns the exit status.
int app_main(void);

#endif
