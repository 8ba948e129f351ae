// SPDX-License-Identifier: MIT
#ifndef XTENSA_START_H
#define XTENSA_START_H

// What each board does between start-up (registers, stack and zeroed .bss are ready) and the end of the program.
_Noreturn void board_start(void);

#endif
