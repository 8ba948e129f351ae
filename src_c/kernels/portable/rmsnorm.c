// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

// x . y as one ascending chain.
static float dot_product(const float *x, const float *y, uint32_t length) {
    float sum = x[0] * y[0];
    for (uint32_t i = 1; i < length; ++i) {
        sum = FMA32(x[i], y[i], sum);
    }
    return sum;
}

void rmsnorm(float *y, float *scale, const float *x, uint32_t rows, const struct rmsnorm_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        const float *x_row = x + r * shape->width;
        float *y_row = y + r * shape->width;
        scale[r] = rsqrt32(FMA32(dot_product(x_row, x_row, shape->width), shape->mean, RMSNORM_EPSILON));
        for (uint32_t i = 0; i < shape->width; ++i) {
            y_row[i] = x_row[i] * scale[r];
        }
    }
}

void rmsnorm_backward(float *dx, const float *dy, const float *y, const float *scale, uint32_t rows,
                      const struct rmsnorm_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        const float *dy_row = dy + r * shape->width;
        const float *y_row = y + r * shape->width;
        float *dx_row = dx + r * shape->width;
        const float projection = dot_product(dy_row, y_row, shape->width) * shape->mean;
        for (uint32_t i = 0; i < shape->width; ++i) {
            dx_row[i] = FMA32(FMA32(-y_row[i], projection, dy_row[i]), scale[r], dx_row[i]);
        }
    }
}
