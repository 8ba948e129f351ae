// SPDX-License-Identifier: MIT
// The program as a WebAssembly module, for a page or whatever else holds it (web/program.js). It has the imports and exports
// below, app_begin() and app_turn(), and its memory.
#include "board/board.h"

#include <stddef.h>

#include "core/dataset.h"
#include "core/plan.h"
#include "text/print.h"

#define IMPORT(name) __attribute__((import_module("page"), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

// How a program comes to its end.
enum ending { ENDS_BY_RESET, ENDS_WITH_STATUS, ENDS_IN_PANIC };

IMPORT("write") void page_write(const char *text, uint32_t length);
IMPORT("read") int32_t page_read(void); // as board_console_read()
IMPORT("random") uint32_t page_random(void);
IMPORT("microseconds") uint32_t page_microseconds(void); // since any moment, modulo 2^32
IMPORT("end") void page_end(enum ending ending, int status); // throws, so as not to return here

enum { PAGE_BYTES = 65536, DEFAULT_MEGABYTES = 64 };

// Behind everything that is linked; the linker names it so.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wreserved-identifier"
extern char __heap_base;
#pragma clang diagnostic pop

// What the page calls before app_begin().
EXPORT("set_bank") void set_bank(uint32_t bank, uint32_t bytes);
EXPORT("make_room") char *make_room(uint32_t dataset_bytes);

static struct {
    uint32_t bytes[MOST_BANKS];
    char *dataset;
    uint32_t dataset_bytes;
} room = {.bytes = {DEFAULT_MEGABYTES << 20}};

// Replaces the length of a bank, to plan as another board would. The first bank of 0 bytes ends them.
void set_bank(uint32_t bank, uint32_t bytes) {
    if (bank < MOST_BANKS) {
        room.bytes[bank] = bytes & ~3u;
    }
}

// Behind set_bank(): makes room for a data set of so many bytes and for the banks. Returns where the data
// set has to be copied, 4-byte aligned; NULL where so much memory is not to be had.
char *make_room(uint32_t dataset_bytes) {
    const uint64_t begin = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    uint64_t end = begin + dataset_bytes + 15;
    for (uint32_t bank = 0; bank < MOST_BANKS; ++bank) {
        end += room.bytes[bank];
    }
    const uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE_BYTES;
    const uint64_t lacking = end > have ? (end - have + PAGE_BYTES - 1) / PAGE_BYTES : 0;
    if (lacking > UINT16_MAX || __builtin_wasm_memory_grow(0, (size_t)lacking) == SIZE_MAX) {
        return NULL;
    }
    room.dataset = (char *)(uintptr_t)begin;
    room.dataset_bytes = dataset_bytes;
    return room.dataset;
}

void board_console_write(const char *text, uint32_t length) { page_write(text, length); }

bool board_is_interactive(void) { return true; }

bool board_is_chip(void) { return false; }

int32_t board_console_read(void) { return page_read(); }

void board_print_info(void) { print_text("a WebAssembly module\n"); }

static _Noreturn void end(enum ending ending, int status) {
    page_end(ending, status);
    __builtin_trap();
}

void board_reset(void) { end(ENDS_BY_RESET, 0); }

uint32_t board_cycles(void) { return page_microseconds(); }

uint32_t board_cycles_per_millisecond(void) { return 1000; }

uint32_t board_random(void) { return page_random(); }

const void *board_dataset(uint32_t *capacity) {
    *capacity = room.dataset_bytes;
    return room.dataset;
}

bool board_has_second_core(void) { return false; }

bool board_start_second_core(void) { return false; }

// The banks lie behind the data set, one after the other.
uint32_t board_memory(uint32_t bank, void **start) {
    if (bank >= MOST_BANKS) {
        return 0;
    }
    char *first = room.dataset + ((room.dataset_bytes + 15) & ~15u);
    for (uint32_t i = 0; i < bank; ++i) {
        first += room.bytes[i];
    }
    *start = first;
    return room.bytes[bank];
}

void board_exit(int status) { end(ENDS_WITH_STATUS, status); }

void board_abort(const char *reason) {
    print_text("# panic: ");
    print_text(reason);
    print_text("\n");
    end(ENDS_IN_PANIC, 1);
}
