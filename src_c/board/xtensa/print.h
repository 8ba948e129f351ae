// SPDX-License-Identifier: MIT
#ifndef XTENSA_PRINT_H
#define XTENSA_PRINT_H

// What boards say by themselves. The program's output is app/console.c, which a crash may have been in.

// A string that ends with a zero byte.
void board_print(const char *text);

#endif
