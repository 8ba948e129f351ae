// SPDX-License-Identifier: MIT
#include "board/board.h"

#include "board/sim/simcall.h"
#include "board/xtensa/panic.h"
#include "board/xtensa/start.h"

extern const char dataset_start[], dataset_end[];  // linker/sim.ld
extern char bss_end[];

_Noreturn void board_start(void) {
    board_exit(app_main());
}

void board_console_write(const char *text, uint32_t length) {
    const uintptr_t standard_output = 1;
    while (length > 0) {
        int32_t written = simcall(SIMCALL_WRITE, standard_output, (uintptr_t)text, length);
        if (written <= 0) {
            return;  // nobody is listening
        }
        text += written;
        length -= (uint32_t)written;
    }
}

bool board_is_interactive(void) { return false; }

bool board_key_pressed(void) { return false; }

void board_feed_watchdog(void) {}

uint32_t board_cycles(void) { return 0; }

uint32_t board_cycles_per_millisecond(void) { return 0; }

uint32_t board_random(void) { board_abort("only the chip can draw a seed"); }

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uint32_t)dataset_end - (uint32_t)dataset_start;
    return dataset_start;
}

uint32_t board_memory(uint32_t bank, void **start) {
    *start = bss_end;
    return bank == 0 ? (uint32_t)dataset_start - (uint32_t)bss_end : 0;
}

_Noreturn void board_exit(int status) {
    for (;;) {
        simcall(SIMCALL_EXIT, (uintptr_t)status, 0, 0);
    }
}

_Noreturn void board_panicked(uint32_t event) {
    (void)event;
    board_exit(PANIC_STATUS);
}
