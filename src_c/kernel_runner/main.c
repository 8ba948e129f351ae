// SPDX-License-Identifier: MIT
// Calls kernels on the emulated core with arguments from a file: tests/kernels.py writes calls.bin and reads results.bin.
// The file is an array of words: the number of calls, then for each call the kernel's number, six arguments of two words
// (0 and a value, or 1 and the length in words of a buffer) and the buffers. Kernels work in place on the buffers.
#include "board/board.h"
#include "board/sim/simcall.h"
#include "kernels/kernels.h"

#define ARGUMENTS 6
#define MEMORY_WORDS (1u << 20)

// On this machine a float, an integer and a pointer are passed alike, and arguments that are not read do no harm.
typedef void kernel(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);

#define KERNEL(name) (kernel *)(uintptr_t)name,
static kernel *const kernels[] = {
#include "kernels/kernels.inc"
};

static uint32_t memory[MEMORY_WORDS];

static int32_t open_file(const char *path, uint32_t flags) {
    const uint32_t permissions = 0644;
    return simcall(SIMCALL_OPEN, (uintptr_t)path, flags, permissions);
}

static int run_calls(void) {
    const uint32_t read_only = 0;
    const uint32_t write_new = 01 | 0100 | 01000; // O_WRONLY | O_CREAT | O_TRUNC of the machine that emulates
    const int32_t calls_file = open_file("calls.bin", read_only);
    const int32_t size = simcall(SIMCALL_READ, (uintptr_t)calls_file, (uintptr_t)memory, sizeof(memory));
    if (size <= 0 || size == (int32_t)sizeof(memory)) {
        return 2;
    }
    uint32_t *word = memory;
    for (uint32_t calls = *word++; calls > 0; --calls) {
        kernel *const call = kernels[*word++];
        uint32_t arguments[ARGUMENTS] = {0};
        uint32_t *buffer = word + 2 * ARGUMENTS;
        for (uint32_t i = 0; i < ARGUMENTS; ++i) {
            const uint32_t is_buffer = *word++;
            const uint32_t value = *word++;
            arguments[i] = is_buffer ? (uint32_t)(uintptr_t)buffer : value;
            buffer += is_buffer ? value : 0;
        }
        call(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
        word = buffer;
    }
    const int32_t results_file = open_file("results.bin", write_new);
    return simcall(SIMCALL_WRITE, (uintptr_t)results_file, (uintptr_t)memory, (uint32_t)size) == size ? 0 : 3;
}

void app_begin(void) {}

enum app_state app_turn(void) { return APP_ENDED; }

int app_status(void) { return run_calls(); }

_Noreturn void app_second_core(void) {
    for (;;) {
    }
}
