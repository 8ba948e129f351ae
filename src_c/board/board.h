// SPDX-License-Identifier: MIT
// What the program needs of the place it runs in. A folder beside this file for each: host, sim (emulated core), esp32.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "board/console.h"
#include "board/storage.h"

// Whether the console is a bare line with a person or a program at its other end, as on a chip: then what is typed is echoed
// and edited here, and the program goes on until it is asked for something else. Elsewhere a terminal does that.
bool board_is_interactive(void);

// The next byte typed, or one of these. Never waits.
enum {
    INPUT_NONE = -1,
    INPUT_END = -2,  // there will be no more
    INPUT_LOST = -3, // bytes came faster than they were taken, and some are gone
};
int32_t board_console_read(void);

// Whether the program runs on the chip that it is made for, whose processor cycles board_cycles() counts then.
bool board_is_chip(void);

// Says what the program runs on, in a line or two.
void board_print_info(void);

// Starts the program anew: as a chip does at power-on, elsewhere by ending it.
_Noreturn void board_reset(void);

// Count of processor cycles, modulo 2^32, and how many of them make a millisecond; 0 where there is no such clock.
uint32_t board_cycles(void);
uint32_t board_cycles_per_millisecond(void);

// A word from the board's source of noise, for seed=hw. Only on the chip.
uint32_t board_random(void);

// Where the packed data set is to be (core/dataset.h): 4-byte aligned, *capacity bytes readable in place.
const void *board_dataset(uint32_t *capacity);

// Whether there is a second core that works like the first: the same memory, the same instructions.
bool board_has_second_core(void);

// Starts it: it calls app_second_core(), below. To be called once, with the memory of board_memory() not yet in use. Returns
// whether it has begun; one that does not answer in time stays off. Never on a board without one.
bool board_start_second_core(void);

// Memory that the program may fill as it likes, bank by bank: its start, 4-byte aligned, and its length in bytes; 0 where there
// are no more banks.
uint32_t board_memory(uint32_t bank, void **start);

// Ends the program: an exit status where there is someone to take it, otherwise a halt after the console has drained.
_Noreturn void board_exit(int status);

// Ends the program as a panic: says why in the board's way. The chip prints registers and a backtrace, and starts again.
_Noreturn void board_abort(const char *reason);

// The program, in app/main.c, as turns that take milliseconds: a training step, a name, a command. Boards call the first with
// stack, data and zeroed bss ready, then the other until it has ended, and see to their watchdogs and windows in between.
void app_begin(void);

enum app_state {
    APP_GOES_ON,
    APP_WAITS, // for input
    APP_ENDED, // with app_status()
};
enum app_state app_turn(void);

// The program on the second core, on a small stack of its own and with all memory shared.
_Noreturn void app_second_core(void);

// Exit status of a program that has ended.
int app_status(void);

#endif
