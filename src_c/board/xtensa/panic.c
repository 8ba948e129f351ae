// SPDX-License-Identifier: MIT
#include "board/xtensa/panic.h"

#include <stdbool.h>

#include "board/board.h"
#include "board/xtensa/core.h"
#include "board/xtensa/ps.h"
#include "text/print.h"

enum { MOST_FRAMES = 32 };

extern const char stack_bottom[], stack_top[], second_stack_bottom[], second_stack_top[], vectors_start[]; // linker scripts

// Initialised, so that it is not in .bss, which panic_entry overwrites.
static struct {
    bool panicking;
    const char *reason; // of board_abort()
} state = {.reason = ""};

static void print_word(uint32_t value) {
    print_text("0x");
    print_hex(value);
}

static void print_register(const char *name, uint32_t value) {
    uint32_t width = 0;
    while (name[width]) {
        width++;
    }
    print_text(name);
    for (; width < 8; width++) {
        print_text(" ");
    }
    print_text(": ");
    print_word(value);
    print_text("  ");
}

static const char *name_of_exception(uint32_t cause) {
    switch (cause) {
    case 0:
        return "IllegalInstruction";
    case 3:
        return "LoadStoreError";
    case 6:
        return "IntegerDivideByZero";
    case 9:
        return "LoadStoreAlignment";
    case 14:
        return "InstrPIFAddrError";
    case 15:
        return "LoadStorePIFAddrError";
    case 20:
        return "InstrFetchProhibited";
    case 28:
        return "LoadProhibited";
    case 29:
        return "StoreProhibited";
    case 32:
        return "Coprocessor0Disabled";
    default:
        return "Unknown";
    }
}

static const char *name_of(uint32_t event, const struct panic_special *special) {
    switch (event) {
    case PANIC_DOUBLE_EXCEPTION:
        return "Double exception";
    case PANIC_EXCEPTION:
        return *state.reason != '\0' ? state.reason : name_of_exception(special->exccause);
    case PANIC_WATCHDOG:
        return "the program hung";
    case PANIC_DEBUG:
        return special->debugcause & DEBUGCAUSE_DB ? "Stack overflow" : "Debug exception";
    default:
        return "Unexpected interrupt";
    }
}

static bool on_stack(uint32_t sp) {
    const bool first = core_number() == 0;
    const uintptr_t bottom = (uintptr_t)(first ? stack_bottom : second_stack_bottom);
    const uintptr_t top = (uintptr_t)(first ? stack_top : second_stack_top);
    return (sp & 3) == 0 && sp >= bottom + 16 && sp <= top;
}

static void print_frame(uint32_t pc, uint32_t sp) {
    print_text(" ");
    print_word(pc);
    print_text(":");
    print_word(sp);
}

// Follows the callers: first those whose windows are still among the registers, then those on the stack. A return address
// holds, in its two highest bits, by how many windows the call moved on.
static void print_backtrace(uint32_t pc, const uint32_t *registers, uint32_t windows, uint32_t windowbase,
                            uint32_t windowstart, uint32_t window) {
    const uint32_t highest_bits = pc & 0xC0000000u;
    uint32_t distance = 0; // of the caller's window
    bool in_registers = true;
    uint32_t a0 = registers[4 * window];
    uint32_t sp = registers[4 * window + 1];
    print_text("\nBacktrace:");
    print_frame(pc, sp);
    for (int frame = 0; frame < MOST_FRAMES && a0 != 0; frame++) {
        const uint32_t step = a0 >> 30;
        const uint32_t caller = (window - step) & (windows - 1);
        const uint32_t return_address = (a0 & 0x3FFFFFFFu) | highest_bits;
        distance += step;
        in_registers = in_registers && distance < windows &&
                       (windowstart >> ((windowbase + caller) & (windows - 1)) & 1) != 0;
        if (step == 0 || (!in_registers && !on_stack(sp))) {
            print_text(" |<-CORRUPTED");
            break;
        }
        if (in_registers) {
            window = caller;
            a0 = registers[4 * window];
            sp = registers[4 * window + 1];
        } else {
            const uint32_t *saved = (const uint32_t *)(uintptr_t)(sp - 16);
            a0 = saved[0];
            sp = saved[1];
        }
        print_frame(return_address - 3, sp);
    }
    print_text("\n");
}

_Noreturn void panic(uint32_t event, uint32_t pc, const uint32_t *registers, const struct panic_special *special,
                     uint32_t windowbase) {
    if (state.panicking) {
        board_panicked(event);
    }
    state.panicking = true;
    board_stop_other_core();

    // A guard hit while a window was being saved: the call that needed the window is what to show.
    const uint32_t windows = (uint32_t)((const uint32_t *)special - registers) / 4;
    uint32_t window = 0;
    if (event == PANIC_DEBUG && pc - (uintptr_t)vectors_start < WINDOW_VECTORS_BYTES) {
        pc = special->epc1;
        window = (PS_OWB(special->eps6) - windowbase) & (windows - 1);
    }

    print_text("\nGuru Meditation Error: Core  ");
    print_unsigned(core_number(), 1);
    print_text(" panic'ed (");
    print_text(name_of(event, special));
    print_text("). Exception was unhandled.\n\nCore  ");
    print_unsigned(core_number(), 1);
    print_text(" register dump:\n");
    print_register("PC", pc);
    print_register("PS", special->ps);
    for (uint32_t i = 0; i < 16; i++) {
        const char name[] = {'A', (char)(i < 10 ? '0' + i : '1'), (char)(i < 10 ? '\0' : '0' + (i - 10)), '\0'};
        print_register(name, registers[(4 * window + i) & (4 * windows - 1)]);
        if (i % 4 == 1) {
            print_text("\n");
        }
    }
    print_register("SAR", special->sar);
    print_register("EXCCAUSE", special->exccause);
    print_text("\n");
    print_register("EXCVADDR", special->excvaddr);
    print_register("LBEG", special->lbeg);
    print_register("LEND", special->lend);
    print_register("LCOUNT", special->lcount);
    print_text("\n");
    print_backtrace(pc, registers, windows, windowbase, special->windowstart, window);
    board_panicked(event);
}

_Noreturn void board_abort(const char *reason) {
    state.reason = reason;
    for (;;) {
        __asm__ volatile("ill");
    }
}
