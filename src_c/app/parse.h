// SPDX-License-Identifier: MIT
// Words and numbers in what was typed. Everything works on zero-terminated text, in place.
#ifndef PARSE_H
#define PARSE_H

#include <stdbool.h>
#include <stdint.h>

// Whether two texts are the same.
bool same_text(const char *a, const char *b);

// The next word of *rest, cut off with a zero byte, and *rest behind it and the spaces that follow; "" when there is none.
char *next_word(char **rest);

// A whole number in decimal, below 10^9; false: it is none.
bool parse_whole(const char *text, uint32_t *value);

// A number like 0.01, 3 or 1e-3 as the nearest float32, of its first nine digits; false: it is none, or outside 1e-9 to 1e9.
bool parse_real(const char *text, float *value);

// |seed| in words, the least significant first, of a seed in decimal or, behind 0x, hexadecimal. Returns how many words it takes,
// at least 1; 0: it is no number; room + 1: it takes more than room.
uint32_t parse_seed(const char *text, uint32_t *words, uint32_t room);

// The code point that UTF-8 holds at *text, and *text behind it; NOT_UTF8, and *text stays.
uint32_t next_code_point(const char **text);
#define NOT_UTF8 0xFFFFFFFFu

#endif
