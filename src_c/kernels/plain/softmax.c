// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

static void softmax_of_row(float *x, uint32_t length, float scale, float weight) {
    float greatest = x[0];
    for (uint32_t i = 1; i < length; ++i) {
        greatest = x[i] > greatest ? x[i] : greatest;
    }
    for (uint32_t i = 0; i < length; ++i) {
        x[i] = exp32((x[i] - greatest) * scale);
    }
    float total = x[0];
    for (uint32_t i = 1; i < length; ++i) {
        total += x[i];
    }
    const float factor = weight * reciprocal32(total);
    for (uint32_t i = 0; i < length; ++i) {
        x[i] *= factor;
    }
}

void softmax(float *x, uint32_t rows, uint32_t length, const struct softmax_sizes *sizes, float scale, float weight) {
    for (uint32_t r = 0; r < rows; ++r) {
        softmax_of_row(x + r * sizes->stride, length + r * sizes->growth, scale, weight);
    }
}

static void softmax_backward_of_row(float *dy, const float *y, uint32_t length, float scale) {
    float dot = dy[0] * y[0];
    for (uint32_t i = 1; i < length; ++i) {
        dot = FMA32(dy[i], y[i], dot);
    }
    for (uint32_t i = 0; i < length; ++i) {
        dy[i] = (dy[i] - dot) * y[i] * scale;
    }
}

void softmax_backward(float *dy, const float *y, uint32_t rows, uint32_t length, const struct softmax_sizes *sizes,
                      float scale) {
    for (uint32_t r = 0; r < rows; ++r) {
        softmax_backward_of_row(dy + r * sizes->stride, y + r * sizes->stride, length + r * sizes->growth, scale);
    }
}
