// SPDX-License-Identifier: MIT
#include "app/check/checks.h"

#include "app/program.h"
#include "text/print.h"

#define MOST_BYTES (1u << 18) // of a bank: more than any of the chip's; a PC's has gigabytes

struct bank free_memory(uint32_t bank) {
    struct bank memory = program.banks.bank[bank];
    uint32_t taken = 0;
    if (program.has_model) {
        struct plan plan;
        plan_make(&plan, &program.request, &program.banks);
        taken = plan_extent(&plan, bank);
    }
    memory.start = (uint8_t *)memory.start + taken;
    memory.bytes -= taken;
    memory.bytes = (memory.bytes < MOST_BYTES ? memory.bytes : MOST_BYTES) & ~3u;
    return memory;
}

struct bank scratch_memory(void) {
    struct bank largest = free_memory(0);
    for (uint32_t bank = 1; bank < program.banks.count; ++bank) {
        const struct bank memory = free_memory(bank);
        largest = memory.bytes > largest.bytes ? memory : largest;
    }
    return largest;
}

static bool report(const volatile uint32_t *word, uint32_t found, uint32_t wanted) {
    print_text("  at 0x");
    print_hex((uint32_t)(uintptr_t)word);
    print_text(": ");
    print_hex(found);
    print_text(" instead of ");
    print_hex(wanted);
    print_text("\n");
    return false;
}

// March C- (van de Goor 1991), a word at a time: it finds bits that are stuck, that do not change, that change with others, and
// words that lie at two addresses.
static bool march(volatile uint32_t *first, uint32_t words, uint32_t pattern) {
    static const struct {
        bool downwards;
        bool reads_inverse;
        bool writes;
    } elements[] = {
        {false, false, true}, {false, true, true}, {true, false, true}, {true, true, true}, {false, false, false},
    };
    for (uint32_t i = 0; i < words; ++i) {
        first[i] = pattern;
    }
    for (uint32_t element = 0; element < sizeof(elements) / sizeof(elements[0]); ++element) {
        const uint32_t wanted = elements[element].reads_inverse ? ~pattern : pattern;
        for (uint32_t i = 0; i < words; ++i) {
            volatile uint32_t *word = &first[elements[element].downwards ? words - 1 - i : i];
            const uint32_t found = *word;
            if (found != wanted) {
                return report(word, found, wanted);
            }
            if (elements[element].writes) {
                *word = ~wanted;
            }
        }
    }
    return true;
}

enum verdict check_memory(uint32_t bank) {
    const struct bank memory = free_memory(bank);
    const uint32_t words = memory.bytes / 4;
    if (words == 0) {
        return VERDICT_SKIPPED;
    }
    return march(memory.start, words, 0) && march(memory.start, words, 0x55555555u) ? VERDICT_RIGHT : VERDICT_WRONG;
}
