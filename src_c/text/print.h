// SPDX-License-Identifier: MIT
// Text on the console, in the formats of microgpt.py and without a C library; for the program, and for what boards say by
// themselves. Nothing is kept from call to call, for a panic may strike in the middle of any and then prints too.
#ifndef PRINT_H
#define PRINT_H

#include <stdint.h>

// A string that ends with a zero byte.
void print_text(const char *text);

// Decimal, right-aligned in width (Python: {value:widthd}).
void print_unsigned(uint32_t value, uint32_t width);

// Eight lower-case hexadecimal digits.
void print_hex(uint32_t value);

// The character so many times.
void print_repeated(char character, uint32_t times);

// So many decimals, rounded half to even as Python's {value:.4f}. |value| below 2^27; otherwise "inf", or "nan". decimals: 1 to 8.
void print_fixed(float value, uint32_t decimals);

// As few digits as name a setting that people type: up to seven significant ones, 0.01 or 2.5e-6. value: 1e-9 to 1e6.
void print_short(float value);

// One code point as UTF-8.
void print_character(uint32_t code_point);

#endif
