// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

void adam_update(float *w, float *first, float *second, const float *g, uint32_t length, const struct adam_step *step) {
    for (uint32_t i = 0; i < length; ++i) {
        const float m = first[i] = FMA32(first[i], step->first_decay, g[i]);
        const float s = second[i] = FMA32(g[i], g[i], second[i]);
        if (float_bits(s) >= float_bits(step->exact_below)) {
            const float seed = rsqrt_seed(s);
            const float e = FMA32(s, seed, step->lifted_epsilon) * seed;
            const float shifted = e + RSQRT_A;
            const float slope = m * step->scaled_rate * seed * FMA32(shifted, shifted, RSQRT_B);
            w[i] = FMA32(slope, e + RSQRT_C, w[i]);
        } else if (s > 0.0f) {
            w[i] = FMA32(-(step->rate * m), reciprocal32(sqrt32(s) + step->epsilon), w[i]);
        }
    }
}
