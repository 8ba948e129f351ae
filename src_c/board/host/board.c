// SPDX-License-Identifier: MIT
#include "board/board.h"

#include <stdio.h>
#include <stdlib.h>

extern const char dataset_start[], dataset_end[]; // dataset.S

void board_console_write(const char *text, uint32_t length) {
    const bool line_ends = length > 0 && text[length - 1] == '\n';
    if (fwrite(text, 1, length, stdout) != length || (line_ends && fflush(stdout) != 0)) {
        perror("microgpt: cannot write");
        exit(EXIT_FAILURE);
    }
}

bool board_is_interactive(void) { return false; }

bool board_key_pressed(void) { return false; }

void board_alive(void) {}

uint32_t board_cycles(void) { return 0; }

uint32_t board_cycles_per_millisecond(void) { return 0; }

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uint32_t)((uintptr_t)dataset_end - (uintptr_t)dataset_start);
    return dataset_start;
}

void board_exit(int status) { exit(status); }

void board_abort(const char *reason) {
    fprintf(stderr, "microgpt: %s\n", reason);
    exit(EXIT_FAILURE);
}

int main(void) { board_exit(app_main()); }
