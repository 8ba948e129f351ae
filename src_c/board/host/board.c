// SPDX-License-Identifier: MIT
#include "board/board.h"

#include <stdio.h>
#include <stdlib.h>

extern const char dataset_start[]; // dataset.S

void board_console_write(const char *text, uint32_t length) {
    if (fwrite(text, 1, length, stdout) != length) {
        exit(EXIT_FAILURE);
    }
    if (length > 0 && text[length - 1] == '\n') {
        fflush(stdout);
    }
}

const void *board_dataset(void) { return dataset_start; }

void board_exit(int status) { exit(status); }

int main(void) { board_exit(app_main()); }
