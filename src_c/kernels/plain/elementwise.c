// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

void relu(float *x, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        x[i] = float_bits(x[i]) >> 31 ? 0.0f : x[i];
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
