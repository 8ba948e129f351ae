// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE // mmap
#include "board/board.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "text/print.h"

extern const char dataset_start[], dataset_end[]; // dataset.S

void board_console_write(const char *text, uint32_t length) {
    const bool line_ends = length > 0 && text[length - 1] == '\n';
    if (fwrite(text, 1, length, stdout) != length || (line_ends && fflush(stdout) != 0)) {
        perror("microgpt: cannot write");
        exit(EXIT_FAILURE);
    }
}

bool board_is_interactive(void) { return false; }

static bool has_input(int milliseconds) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, milliseconds) > 0;
}

int32_t board_console_read(void) {
    static uint8_t bytes[4096];
    static ssize_t count, next;
    if (next == count) {
        if (!has_input(0)) {
            return INPUT_NONE;
        }
        next = 0;
        count = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (count <= 0) {
            count = 0;
            return INPUT_END;
        }
    }
    return bytes[next++];
}

void board_print_info(void) { print_text("a program of this machine\n"); }

void board_reset(void) { exit(EXIT_SUCCESS); }

uint32_t board_cycles(void) { return 0; }

uint32_t board_cycles_per_millisecond(void) { return 0; }

uint32_t board_random(void) { board_abort("only the chip can draw a seed"); }

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uint32_t)((uintptr_t)dataset_end - (uintptr_t)dataset_start);
    return dataset_start;
}

bool board_has_second_core(void) { return false; }

bool board_start_second_core(void) { return false; }

// As much address space as any model may take; pages come as they are used.
uint32_t board_memory(uint32_t bank, void **start) {
    const uint32_t bytes = 0xFFFFF000u;
    if (bank > 0) {
        return 0;
    }
    *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return *start == MAP_FAILED ? 0 : bytes;
}

void board_exit(int status) { exit(status); }

void board_abort(const char *reason) {
    fprintf(stderr, "microgpt: %s\n", reason);
    exit(EXIT_FAILURE);
}

int main(void) {
    app_begin();
    for (;;) {
        switch (app_turn()) {
        case APP_GOES_ON:
            break;
        case APP_WAITS:
            fflush(stdout);
            has_input(-1);
            break;
        case APP_ENDED:
            board_exit(app_status());
        }
    }
}
