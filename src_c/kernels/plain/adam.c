// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

static float updated(float w, float first, float s, const struct adam_step *step) {
    if (float_bits(s) >= float_bits(step->exact_below)) {
        const float seed = rsqrt_seed(s);
        const float e = FMA32(s, seed, step->lifted_epsilon) * seed;
        const float shifted = e + RSQRT_A;
        const float slope = first * step->scaled_rate * seed * FMA32(shifted, shifted, RSQRT_B);
        return FMA32(slope, e + RSQRT_C, w);
    }
    return s > 0.0f ? FMA32(-(step->rate * first), reciprocal32(sqrt32(s) + step->epsilon), w) : w;
}

void adam_update(float *w, float *first, float *second, const float *g, uint32_t length, const struct adam_step *step) {
    for (uint32_t i = 0; i < length; ++i) {
        const float m = first[i] = FMA32(first[i], step->first_decay, g[i]);
        const float s = second[i] = FMA32(g[i], g[i], second[i]);
        w[i] = updated(w[i], m, s, step);
    }
}

void adam_update_large(float *w, float *first, float *second, const float *g, uint32_t length, const struct adam_step *step) {
    adam_update(w, first, second, g, length, step);
}

void adam_decay(float *w, float *first, const float *second, uint32_t length, const struct adam_step *step) {
    for (uint32_t i = 0; i < length; ++i) {
        const float m = first[i] *= step->first_decay;
        w[i] = updated(w[i], m, second[i], step);
    }
}
