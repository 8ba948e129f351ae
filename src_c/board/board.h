// SPDX-License-Identifier: MIT
// What the program needs of the place it runs in. A folder beside this file for each: host, sim (emulated core), esp32.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "board/console.h"

// Whether the program goes on after its samples, until a key is pressed.
bool board_is_interactive(void);

// Whether a key has been pressed since the last call; never where nobody sits before the console.
bool board_key_pressed(void);

// Must be called every few seconds: a watchdog, where there is one, takes silence for a hang.
void board_feed_watchdog(void);

// Count of processor cycles, modulo 2^32, and how many of them make a millisecond; 0 where there is no such clock.
uint32_t board_cycles(void);
uint32_t board_cycles_per_millisecond(void);

// A word from the board's source of noise, for seed=hw. Only on the chip.
uint32_t board_random(void);

// Where the packed data set is to be (core/dataset.h): 4-byte aligned, *capacity bytes readable in place.
const void *board_dataset(uint32_t *capacity);

// Memory that the program may fill as it likes, bank by bank: its start, 4-byte aligned, and its length in bytes; 0 where there
// are no more banks.
uint32_t board_memory(uint32_t bank, void **start);

// Ends the program: an exit status where there is someone to take it, otherwise a halt after the console has drained.
_Noreturn void board_exit(int status);

// Ends the program as a panic: says why in the board's way. The chip prints registers and a backtrace, and starts again.
_Noreturn void board_abort(const char *reason);

// The program, in app/main.c. Boards call it with stack, data and zeroed bss ready. Returns the exit status.
int app_main(void);

#endif
