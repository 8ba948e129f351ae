// SPDX-License-Identifier: MIT
#include "core/xoshiro.h"

static uint32_t rotate(uint32_t x, uint32_t bits) { return x << bits | x >> (32 - bits); }

// A Weyl sequence through the finaliser of MurmurHash3: seeds that are close give states that are not.
void xoshiro_seed(struct xoshiro *xoshiro, uint32_t seed) {
    for (uint32_t i = 0; i < 4; ++i) {
        seed += 0x9e3779b9u;
        uint32_t mixed = (seed ^ seed >> 16) * 0x85ebca6bu;
        mixed = (mixed ^ mixed >> 13) * 0xc2b2ae35u;
        xoshiro->state[i] = mixed ^ mixed >> 16;
    }
}

uint32_t xoshiro_bits(struct xoshiro *xoshiro) {
    uint32_t *state = xoshiro->state;
    const uint32_t drawn = rotate(state[0] + state[3], 7) + state[0];
    const uint32_t shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 11);
    return drawn;
}

float xoshiro_uniform(struct xoshiro *xoshiro) { return (float)(xoshiro_bits(xoshiro) >> 8) * 0x1p-24f; }
