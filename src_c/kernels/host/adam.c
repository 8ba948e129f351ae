// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

// The exact formula, for the few weights whose second moment is so small that epsilon matters.
static void update_exactly(float *restrict w, const float *restrict first, const float *restrict second, uint32_t length,
                           const struct adam_step *step) {
    for (uint32_t i = 0; i < length; ++i) {
        const float s = second[i];
        if (s > 0.0f && s < step->exact_below) {
            w[i] = FMA32(-(step->rate * first[i]), reciprocal32(sqrt32(s) + step->epsilon), w[i]);
        }
    }
}

void adam_update(float *restrict w, float *restrict first, float *restrict second, const float *restrict g,
                 uint32_t length, const struct adam_step *step) {
    const struct adam_step constants = *step;
    const uint32_t exact_below = float_bits(constants.exact_below);
    uint32_t smallest = UINT32_MAX; // bits of a second moment other than 0, less 1
    for (uint32_t i = 0; i < length; ++i) { // without a branch, so that compilers vectorise it
        const float m = FMA32(first[i], constants.first_decay, g[i]);
        const float s = FMA32(g[i], g[i], second[i]);
        const float seed = rsqrt_seed(s);
        const float e = FMA32(s, seed, constants.lifted_epsilon) * seed;
        const float shifted = e + RSQRT_A;
        const float u = m * constants.scaled_rate * seed * FMA32(shifted, shifted, RSQRT_B);
        const float updated = FMA32(u, e + RSQRT_C, w[i]);
        first[i] = m;
        second[i] = s;
        w[i] = float_bits(s) >= exact_below ? updated : w[i];
        smallest = float_bits(s) - 1 < smallest ? float_bits(s) - 1 : smallest;
    }
    if (smallest + 1 < exact_below) {
        update_exactly(w, first, second, length, step);
    }
}
