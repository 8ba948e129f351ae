// SPDX-License-Identifier: MIT
#include "app/transfer.h"

#include "app/program.h"
#include "app/remember.h"
#include "text/print.h"

enum { LINE_BYTES = 48, LINES_A_TURN = 16 };

static uint32_t next; // byte of the checkpoint to send, and one; 0: nothing is sent

void transfer_begin(void) {
    next = program.has_model ? 1 : 0;
    print_text(program.has_model ? "\n" : "\n# error: there is no model yet\n");
}

static char digit_of(uint32_t value) {
    if (value < 52) {
        return (char)(value < 26 ? 'A' + value : 'a' + value - 26);
    }
    return value < 62 ? (char)('0' + value - 52) : value == 62 ? '+' : '/';
}

static void print_line(const uint8_t *bytes, uint32_t count) {
    print_text("#=");
    for (uint32_t i = 0; i < count; i += 3) {
        char digits[5] = "====";
        const uint32_t here = count - i < 3 ? count - i : 3;
        uint32_t group = 0;
        for (uint32_t j = 0; j < 3; ++j) {
            group = group << 8 | (j < here ? bytes[i + j] : 0);
        }
        for (uint32_t j = 0; j <= here; ++j, group <<= 6) {
            digits[j] = digit_of(group >> 18 & 63);
        }
        print_text(digits);
    }
    print_text("\n");
}

// Where a byte of a checkpoint lies, and how many follow it there, with it.
static const uint8_t *find(const struct checkpoint *checkpoint, uint32_t offset, uint32_t *left) {
    if (offset < CHECKPOINT_HEADER_BYTES) {
        *left = CHECKPOINT_HEADER_BYTES - offset;
        return (const uint8_t *)&checkpoint->header + offset;
    }
    uint32_t part = 0;
    for (offset -= CHECKPOINT_HEADER_BYTES; offset >= checkpoint->part[part].bytes; ++part) {
        offset -= checkpoint->part[part].bytes;
    }
    *left = checkpoint->part[part].bytes - offset;
    return (const uint8_t *)checkpoint->part[part].start + offset;
}

bool transfer_turn(void) {
    if (next == 0) {
        return false;
    }
    struct checkpoint checkpoint;
    remember_describe(&checkpoint);
    uint32_t offset = next - 1;
    if (offset < CHECKPOINT_HEADER_BYTES) {
        checkpoint_number(&checkpoint, 0);
    }
    if (offset == 0) {
        print_text("# state ");
        print_unsigned(checkpoint.header.bytes, 1);
        print_text("\n");
    }
    for (uint32_t line = 0; line < LINES_A_TURN && offset < checkpoint.header.bytes; ++line) {
        uint32_t left;
        const uint8_t *bytes = find(&checkpoint, offset, &left);
        const uint32_t count = left < LINE_BYTES ? left : LINE_BYTES;
        print_line(bytes, count);
        offset += count;
    }
    next = offset < checkpoint.header.bytes ? offset + 1 : 0;
    if (next == 0) {
        print_text("# state ends\n");
    }
    return true;
}
