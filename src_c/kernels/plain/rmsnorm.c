// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

static float row_dot(const float *x, const float *y, uint32_t width) {
    float sum = x[0] * y[0];
    for (uint32_t i = 1; i < width; ++i) {
        sum = FMA32(x[i], y[i], sum);
    }
    return sum;
}

void rmsnorm(float *y, float *scale, const float *x, uint32_t rows, const struct rmsnorm_sizes *sizes) {
    for (uint32_t r = 0; r < rows; ++r, x += sizes->width, y += sizes->width) {
        scale[r] = rsqrt32(FMA32(row_dot(x, x, sizes->width), sizes->mean, RMSNORM_EPSILON));
        for (uint32_t i = 0; i < sizes->width; ++i) {
            y[i] = x[i] * scale[r];
        }
    }
}

void rmsnorm_backward(float *dx, const float *dy, const float *y, const float *scale, uint32_t rows,
                      const struct rmsnorm_sizes *sizes) {
    for (uint32_t r = 0; r < rows; ++r, dx += sizes->width, dy += sizes->width, y += sizes->width) {
        const float projection = row_dot(dy, y, sizes->width) * sizes->mean;
        for (uint32_t i = 0; i < sizes->width; ++i) {
            dx[i] = FMA32(FMA32(-y[i], projection, dy[i]), scale[r], dx[i]);
        }
    }
}
