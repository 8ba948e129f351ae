// SPDX-License-Identifier: MIT
#include "text/print.h"

#include <stdbool.h>

#include "board/console.h"
#include "math/math32.h"

void print_text(const char *text) {
    uint32_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    board_console_write(text, length);
}

// value / 10, from shifts (Warren, Hacker's Delight, divu10): compilers divide by a constant with an instruction that the
// emulated core lacks.
static uint32_t tenth(uint32_t value) {
    uint32_t quotient = (value >> 1) + (value >> 2);
    quotient += quotient >> 4;
    quotient += quotient >> 8;
    quotient += quotient >> 16;
    quotient >>= 3;
    return quotient + (value - 10 * quotient > 9);
}

void print_repeated(char character, uint32_t times) {
    for (; times > 0; --times) {
        board_console_write(&character, 1);
    }
}

// Decimal, right-aligned in width and filled up with pad.
static void print_padded(uint32_t value, uint32_t width, char pad) {
    char digits[10];
    uint32_t first = sizeof(digits);
    do {
        const uint32_t rest = tenth(value);
        digits[--first] = (char)('0' + (value - 10 * rest));
        value = rest;
    } while (value != 0);
    const uint32_t length = (uint32_t)sizeof(digits) - first;
    print_repeated(pad, width > length ? width - length : 0);
    board_console_write(digits + first, length);
}

void print_unsigned(uint32_t value, uint32_t width) { print_padded(value, width, ' '); }

void print_hex(uint32_t value) {
    char digits[8];
    for (uint32_t i = 0; i < 8; ++i) {
        const uint32_t digit = (value >> (28 - 4 * i)) & 15;
        digits[i] = (char)(digit + (digit < 10 ? '0' : 'a' - 10));
    }
    board_console_write(digits, sizeof(digits));
}

// decimals: at most 6
static float power_of_ten(uint32_t decimals) {
    float power = 1.0f;
    for (; decimals > 0; --decimals) {
        power *= 10.0f;
    }
    return power;
}

void print_fixed(float value, uint32_t decimals) {
    const uint32_t bits = float_bits(value);
    const uint32_t exponent = (bits >> 23) & 255;
    uint32_t mantissa = bits & 0x7fffffu;
    if (exponent == 255 && mantissa != 0) {
        print_text("nan");
        return;
    }
    if (bits >> 31) {
        print_repeated('-', 1);
    }
    if (exponent >= 127 + 27) {
        print_text("inf");
        return;
    }
    // value = (mantissa | 2^23) * 2^(exponent - 150), split into a whole part and a fraction in units of 2^-28. What lies
    // below 2^-28 can only break a tie.
    uint32_t whole = 0;
    uint32_t fraction = 0;
    bool below_fraction = false;
    if (exponent >= 150) {
        whole = (mantissa | 0x800000u) << (exponent - 150);
    } else if (exponent >= 127 - 28) {
        mantissa |= 0x800000u;
        const uint32_t shift = 150 - exponent;
        whole = shift < 24 ? mantissa >> shift : 0;
        const uint32_t rest = shift < 24 ? mantissa & ((1u << shift) - 1) : mantissa;
        fraction = shift <= 28 ? rest << (28 - shift) : rest >> (shift - 28);
        below_fraction = shift > 28 && (rest & ((1u << (shift - 28)) - 1)) != 0;
    }
    uint32_t digits = 0;
    uint32_t limit = 1;
    for (uint32_t place = 0; place < decimals; ++place) {
        fraction *= 10;
        digits = digits * 10 + (fraction >> 28);
        limit *= 10;
        fraction &= (1u << 28) - 1;
    }
    const uint32_t half = 1u << 27;
    if (fraction > half || (fraction == half && (below_fraction || (digits & 1)))) {
        ++digits;
    }
    if (digits == limit) {
        digits = 0;
        ++whole;
    }
    print_unsigned(whole, 1);
    print_repeated('.', 1);
    print_padded(digits, decimals, '0');
}

void print_short(float value) {
    uint32_t exponent = 0; // of 1 / 10
    if (value < 1e-3f) {
        for (; value < 0.999995f && exponent < 45; ++exponent) {
            value *= 10.0f;
        }
    }
    uint32_t decimals = exponent > 0 ? 4 : value < 10.0f ? 6 : value < 1e3f ? 4 : 1;
    uint32_t whole = (uint32_t)(value * power_of_ten(decimals) + 0.5f);
    while (decimals > 0 && whole == 10 * tenth(whole)) {
        whole = tenth(whole);
        --decimals;
    }
    uint32_t before_point = whole;
    for (uint32_t i = 0; i < decimals; ++i) {
        before_point = tenth(before_point);
    }
    print_unsigned(before_point, 1);
    if (decimals > 0) {
        print_repeated('.', 1);
        print_padded(whole - before_point * (uint32_t)power_of_ten(decimals), decimals, '0');
    }
    if (exponent > 0) {
        print_repeated('e', 1);
        print_repeated('-', 1);
        print_unsigned(exponent, 1);
    }
}

void print_character(uint32_t code_point) {
    char bytes[4];
    uint32_t length = 1;
    uint32_t lead = 0; // the leading byte's marker
    if (code_point >= 0x10000) {
        length = 4;
        lead = 0xf0;
    } else if (code_point >= 0x800) {
        length = 3;
        lead = 0xe0;
    } else if (code_point >= 0x80) {
        length = 2;
        lead = 0xc0;
    }
    for (uint32_t i = length; i-- > 1;) {
        bytes[i] = (char)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    bytes[0] = (char)(lead | code_point);
    board_console_write(bytes, length);
}
