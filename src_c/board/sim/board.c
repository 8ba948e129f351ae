// SPDX-License-Identifier: MIT
#include "board/board.h"

#include <stddef.h>

#include "board/sim/simcall.h"
#include "board/xtensa/core.h"
#include "board/xtensa/panic.h"
#include "board/xtensa/start.h"
#include "text/print.h"

extern const char dataset_start[], dataset_end[];  // linker/sim.ld
extern char bss_end[];
extern const uint32_t emulated_cores;

enum { STANDARD_INPUT = 0 };

enum { ANSWER_CYCLES = 40000000 }; // a second, of a machine that may be busy with something else

// Waits for input as long as *seconds says (a word of seconds, one of microseconds), without it for ever.
static bool has_input(const uint32_t *seconds) {
    const uintptr_t for_reading = 1;
    return simcall(SIMCALL_SELECT_ONE, STANDARD_INPUT, for_reading, (uintptr_t)seconds) > 0;
}

_Noreturn void board_start(void) {
    app_begin();
    for (;;) {
        switch (app_turn()) {
        case APP_GOES_ON:
            break;
        case APP_WAITS:
            has_input(NULL);
            break;
        case APP_ENDED:
            board_exit(app_status());
        }
    }
}

// Between the cores. Not in .bss, for the emulator starts both at once, and the first zeroes that.
static struct {
    volatile bool called, answered;
} second_core __attribute__((section(".data.second_core")));

_Noreturn void board_start_on_second_core(void) {
    while (!second_core.called) {
    }
    second_core.answered = true;
    app_second_core();
}

bool board_has_second_core(void) { return emulated_cores > 1; }

bool board_start_second_core(void) {
    second_core.called = true;
    second_core.called = core_wait_for(&second_core.answered, ANSWER_CYCLES);
    return second_core.called;
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

bool board_is_chip(void) { return false; }

int32_t board_console_read(void) {
    static uint8_t bytes[64];
    static int32_t count, next;
    if (next == count) {
        static const uint32_t no_time[2] = {0, 0};
        if (!has_input(no_time)) {
            return INPUT_NONE;
        }
        next = 0;
        count = simcall(SIMCALL_READ, STANDARD_INPUT, (uintptr_t)bytes, sizeof(bytes));
        if (count <= 0) {
            count = 0;
            return INPUT_END;
        }
    }
    return bytes[next++];
}

void board_print_info(void) { print_text("an emulated Xtensa core (de233_fpu)\n"); }

_Noreturn void board_reset(void) { board_exit(0); }

uint32_t board_cycles(void) { return 0; }

uint32_t board_cycles_per_millisecond(void) { return 0; }

uint32_t board_random(void) { board_abort("only the chip can draw a seed"); }

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uint32_t)dataset_end - (uint32_t)dataset_start;
    return dataset_start;
}

// Files in the emulator's folder, which site_scons/mgbuild/emulated/emulator.py puts there; flags as its machine has them.
static const char given[] = "resume.ckpt", kept[] = "checkpoint.ckpt", asks_to_keep[] = "checkpoint";
enum { READ_ONLY = 0, WRITE_NEW = 01101, MODE = 0666 };

static int32_t open_file(const char *name, uint32_t flags) {
    return simcall(SIMCALL_OPEN, (uintptr_t)name, flags, MODE);
}

static bool is_there(const char *name) {
    const int32_t file = open_file(name, READ_ONLY);
    if (file >= 0) {
        simcall(SIMCALL_CLOSE, (uintptr_t)file, 0, 0);
    }
    return file >= 0;
}

bool board_file_is_given(void) { return is_there(given); }

bool board_file_read(uint32_t offset, void *to, uint32_t bytes) {
    static int32_t file = -1;
    if (file < 0) {
        file = open_file(given, READ_ONLY);
    }
    const uintptr_t from_start = 0;
    return file >= 0 && simcall(SIMCALL_SEEK, (uintptr_t)file, offset, from_start) == (int32_t)offset &&
           simcall(SIMCALL_READ, (uintptr_t)file, (uintptr_t)to, bytes) == (int32_t)bytes;
}

const void *board_file_in_place(uint32_t bytes) {
    extern char file_start[], file_end[]; // linker/sim.ld
    const uint32_t room = (uint32_t)file_end - (uint32_t)file_start;
    return bytes <= room && board_file_read(0, file_start, bytes) ? file_start : NULL;
}

const void *board_flash_in_place(uint32_t offset) {
    (void)offset;
    return NULL;
}

bool board_file_is_kept(void) {
    static uint32_t known; // 1: no, 2: yes
    if (known == 0) {
        known = is_there(asks_to_keep) ? 2 : 1;
    }
    return known == 2;
}

static int32_t writing = -1;

bool board_file_write(uint32_t offset, const void *from, uint32_t bytes) {
    if (offset == 0) {
        writing = open_file(kept, WRITE_NEW);
    }
    return writing >= 0 && simcall(SIMCALL_WRITE, (uintptr_t)writing, (uintptr_t)from, bytes) == (int32_t)bytes;
}

bool board_file_keep(void) { return simcall(SIMCALL_CLOSE, (uintptr_t)writing, 0, 0) == 0; }

uint32_t board_memory(uint32_t bank, void **start) {
    *start = bss_end;
    return bank == 0 ? (uint32_t)dataset_start - (uint32_t)bss_end : 0;
}

_Noreturn void board_exit(int status) {
    for (;;) {
        simcall(SIMCALL_EXIT, (uintptr_t)status, 0, 0);
    }
}

void board_stop_other_core(void) {} // there is no way to; the emulator ends soon, for both

_Noreturn void board_panicked(uint32_t event) {
    (void)event;
    board_exit(PANIC_STATUS);
}
