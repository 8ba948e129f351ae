// SPDX-License-Identifier: MIT
// A small generator beside Python's, for draws that must leave a run as it is. xoshiro128++ of Blackman and Vigna (2019).
#ifndef XOSHIRO_H
#define XOSHIRO_H

#include <stdint.h>

struct xoshiro {
    uint32_t state[4]; // not all zero
};

// The same draws for the same seed; every seed is good.
void xoshiro_seed(struct xoshiro *xoshiro, uint32_t seed);

// 32 random bits.
uint32_t xoshiro_bits(struct xoshiro *xoshiro);

// A multiple of 2^-24 in [0, 1).
float xoshiro_uniform(struct xoshiro *xoshiro);

#endif
