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

// The fast formula, whatever s.
static inline float updated(float w, float first, float s, const struct adam_step *step) {
    const float seed = rsqrt_seed(s);
    const float e = FMA32(s, seed, step->lifted_epsilon) * seed;
    const float shifted = e + RSQRT_A;
    const float slope = first * step->scaled_rate * seed * FMA32(shifted, shifted, RSQRT_B);
    return FMA32(slope, e + RSQRT_C, w);
}

// Loops without a branch, so that compilers vectorise them. smallest: bits of a second moment other than 0, less 1.
void adam_update(float *restrict w, float *restrict first, float *restrict second, const float *restrict g,
                 uint32_t length, const struct adam_step *step) {
    const struct adam_step constants = *step;
    const uint32_t exact_below = float_bits(constants.exact_below);
    uint32_t smallest = UINT32_MAX;
    for (uint32_t i = 0; i < length; ++i) {
        first[i] = FMA32(first[i], constants.first_decay, g[i]);
        const float s = second[i] = FMA32(g[i], g[i], second[i]);
        const float by_fast_formula = updated(w[i], first[i], s, &constants);
        w[i] = float_bits(s) >= exact_below ? by_fast_formula : w[i];
        smallest = float_bits(s) - 1 < smallest ? float_bits(s) - 1 : smallest;
    }
    if (smallest + 1 < exact_below) {
        update_exactly(w, first, second, length, step);
    }
}

void adam_update_large(float *restrict w, float *restrict first, float *restrict second, const float *restrict g,
                       uint32_t length, const struct adam_step *step) {
    const struct adam_step constants = *step;
    for (uint32_t i = 0; i < length; ++i) {
        first[i] = FMA32(first[i], constants.first_decay, g[i]);
        second[i] = FMA32(g[i], g[i], second[i]);
        w[i] = updated(w[i], first[i], second[i], &constants);
    }
}

void adam_decay(float *restrict w, float *restrict first, const float *restrict second, uint32_t length,
                const struct adam_step *step) {
    const struct adam_step constants = *step;
    const uint32_t exact_below = float_bits(constants.exact_below);
    uint32_t smallest = UINT32_MAX;
    for (uint32_t i = 0; i < length; ++i) {
        const float s = second[i];
        first[i] *= constants.first_decay;
        const float by_fast_formula = updated(w[i], first[i], s, &constants);
        w[i] = float_bits(s) >= exact_below ? by_fast_formula : w[i];
        smallest = float_bits(s) - 1 < smallest ? float_bits(s) - 1 : smallest;
    }
    if (smallest + 1 < exact_below) {
        update_exactly(w, first, second, length, step);
    }
}
