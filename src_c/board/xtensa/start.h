// SPDX-License-Identifier: MIT
#ifndef XTENSA_START_H
#define XTENSA_START_H

// What each board does between start-up (registers, stack and zeroed .bss are ready) and the end of the program.
_Noreturn void board_start(void);

// The same on the second core, from start_second on, where registers and a stack of its own are ready: the board lets
// board_start_second_core() know, and calls app_second_core().
_Noreturn void board_start_on_second_core(void);

// Where the second core begins. No function that C can call.
void start_second(void);

#endif
