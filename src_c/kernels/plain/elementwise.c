// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

void relu(float *x, uint32_t *active, uint32_t rows, uint32_t width) {
    for (uint32_t i = 0; i < ACTIVE_WORDS(rows) * width; ++i) {
        active[i] = 0;
    }
    for (uint32_t r = 0; r < rows; ++r, x += width) {
        uint32_t *words = active + r / 32 * width;
        for (uint32_t c = 0; c < width; ++c) {
            x[c] = float_bits(x[c]) >> 31 ? 0.0f : x[c];
            words[c] |= (uint32_t)(float_bits(x[c]) != 0) << (31 - r % 32);
        }
    }
}

void vector_zero(float *y, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        y[i] = 0.0f;
    }
}

void vector_add(float *y, const float *a, const float *b, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        y[i] = a[i] + b[i];
    }
}
