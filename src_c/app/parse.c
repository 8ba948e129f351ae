// SPDX-License-Identifier: MIT
#include "app/parse.h"

#include "math/math32.h"

bool same_text(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) {
        ++a;
        ++b;
    }
    return *a == *b;
}

char *next_word(char **rest) {
    char *word = *rest;
    char *end = word;
    while (*end != '\0' && *end != ' ') {
        ++end;
    }
    char *next = end;
    while (*next == ' ') {
        ++next;
    }
    *end = '\0';
    *rest = next;
    return word;
}

static bool is_digit(char character) { return character >= '0' && character <= '9'; }

bool parse_whole(const char *text, uint32_t *value) {
    uint32_t number = 0;
    if (!is_digit(*text)) {
        return false;
    }
    for (; is_digit(*text); ++text) {
        if (number >= 100000000) {
            return false;
        }
        number = 10 * number + (uint32_t)(*text - '0');
    }
    *value = number;
    return *text == '\0';
}

// *word = *word * factor + addend, of which it returns what lies above 32 bits. In halves, for compilers call a library for a
// product of 64 bits. factor, addend: at most 16.
static uint32_t multiply_add(uint32_t *word, uint32_t factor, uint32_t addend) {
    const uint32_t low = (*word & 0xFFFF) * factor + addend;
    const uint32_t high = (*word >> 16) * factor + (low >> 16);
    *word = high << 16 | (low & 0xFFFF);
    return high >> 16;
}

static uint64_t times_ten(uint64_t value) {
    uint32_t low = (uint32_t)value;
    uint32_t high = (uint32_t)(value >> 32);
    (void)multiply_add(&high, 10, multiply_add(&low, 10, 0));
    return (uint64_t)high << 32 | low;
}

// digits * 10^exponent, rounded once, to nearest even. digits: 1 to 999999999; exponent: -18 to 9.
static float scaled(uint32_t digits, int32_t exponent) {
    uint64_t numerator = digits;
    uint64_t denominator = 1;
    for (; exponent > 0; --exponent) {
        numerator = times_ten(numerator);
    }
    for (; exponent < 0; ++exponent) {
        denominator = times_ten(denominator);
    }
    int32_t power = 0; // of 2
    for (; numerator >= denominator << 1; ++power) {
        denominator <<= 1;
    }
    for (; numerator < denominator; --power) {
        numerator <<= 1;
    }
    uint32_t mantissa = 0;
    for (uint32_t bit = 0; bit < 24; ++bit) {
        const bool set = numerator >= denominator;
        mantissa = mantissa << 1 | set;
        numerator = (set ? numerator - denominator : numerator) << 1;
    }
    if (numerator > denominator || (numerator == denominator && (mantissa & 1) != 0)) {
        ++mantissa;
    }
    return (float)mantissa * float_from_bits((uint32_t)(127 - 23 + power) << 23);
}

bool parse_real(const char *text, float *value) {
    uint32_t digits = 0;
    uint32_t taken = 0;
    int32_t exponent = 0;
    bool after_point = false;
    bool any = false;
    for (;; ++text) {
        if (*text == '.' && !after_point) {
            after_point = true;
        } else if (is_digit(*text)) {
            any = true;
            if (taken < 9) {
                digits = 10 * digits + (uint32_t)(*text - '0');
                taken += digits > 0;
                exponent -= after_point;
            } else {
                exponent += !after_point;
            }
        } else {
            break;
        }
        if (exponent < -40 || exponent > 40) {
            return false;
        }
    }
    if (any && (*text == 'e' || *text == 'E')) {
        const bool negative = text[1] == '-';
        uint32_t power;
        if (!parse_whole(text + (negative || text[1] == '+' ? 2 : 1), &power) || power > 40) {
            return false;
        }
        exponent += negative ? -(int32_t)power : (int32_t)power;
    } else if (!any || *text != '\0') {
        return false;
    }
    if (digits == 0 || exponent < -18 || exponent > 9) {
        return false;
    }
    *value = scaled(digits, exponent);
    return *value >= 1e-9f && *value <= 1e9f;
}

static uint32_t hexadecimal(char character) {
    if (is_digit(character)) {
        return (uint32_t)(character - '0');
    }
    const char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? (uint32_t)(lower - 'a') + 10 : 16;
}

uint32_t parse_seed(const char *text, uint32_t *words, uint32_t room) {
    uint32_t count = 1;
    words[0] = 0;
    text += *text == '-' ? 1 : 0;
    const uint32_t base = text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10;
    text += base == 16 ? 2 : 0;
    if (*text == '\0') {
        return 0;
    }
    for (; *text != '\0'; ++text) {
        uint32_t carry = hexadecimal(*text);
        if (carry >= base) {
            return 0;
        }
        for (uint32_t i = 0; i < count; ++i) {
            carry = multiply_add(&words[i], base, carry);
        }
        if (carry > 0 && count == room) {
            return room + 1;
        }
        if (carry > 0) {
            words[count++] = carry;
        }
    }
    return count;
}

uint32_t next_code_point(const char **text) {
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *at = (const uint8_t *)*text;
    uint32_t further = 0; // bytes that follow the first
    if (at[0] >= 0xF0) {
        further = 3;
    } else if (at[0] >= 0xE0) {
        further = 2;
    } else if (at[0] >= 0x80) {
        further = 1;
    }
    uint32_t code_point = further > 0 ? at[0] & (0x3Fu >> further) : at[0];
    for (uint32_t i = 1; i <= further; ++i) {
        if ((at[i] & 0xC0) != 0x80) {
            return NOT_UTF8;
        }
        code_point = code_point << 6 | (at[i] & 0x3F);
    }
    const bool lead = further == 0 || (at[0] >= 0xC2 && at[0] <= 0xF4);
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    if (!lead || code_point < least[further] || code_point > 0x10FFFF || surrogate) {
        return NOT_UTF8;
    }
    *text += further + 1;
    return code_point;
}
