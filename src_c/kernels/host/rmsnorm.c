// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

#define ROWS 4 // at once, for each sum waits for itself at every step

// sums[r] = x_r . y_r, an ascending chain for each of the rows; from `rows` on the last row again.
static void dot_products(float sums[ROWS], const float *x, const float *y, uint32_t rows, uint32_t width) {
    const float *x0 = x, *x1 = x0 + (rows > 1 ? width : 0), *x2 = x1 + (rows > 2 ? width : 0);
    const float *x3 = x2 + (rows > 3 ? width : 0);
    const float *y0 = y, *y1 = y + (x1 - x), *y2 = y + (x2 - x), *y3 = y + (x3 - x);
    float s0 = *x0 * *y0, s1 = *x1 * *y1, s2 = *x2 * *y2, s3 = *x3 * *y3;
    for (uint32_t i = 1; i < width; ++i) {
        s0 = FMA32(x0[i], y0[i], s0);
        s1 = FMA32(x1[i], y1[i], s1);
        s2 = FMA32(x2[i], y2[i], s2);
        s3 = FMA32(x3[i], y3[i], s3);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

void rmsnorm(float *y, float *scale, const float *x, uint32_t rows, const struct rmsnorm_sizes *sizes) {
    for (uint32_t r = 0; r < rows; r += ROWS) {
        const uint32_t count = rows - r < ROWS ? rows - r : ROWS;
        float scales[ROWS];
        dot_products(scales, x + r * sizes->width, x + r * sizes->width, count, sizes->width);
        for (uint32_t i = 0; i < ROWS; ++i) {
            scales[i] = rsqrt32(FMA32(scales[i], sizes->mean, RMSNORM_EPSILON));
        }
        for (uint32_t i = 0; i < count; ++i) {
            const float *x_row = x + (r + i) * sizes->width;
            float *y_row = y + (r + i) * sizes->width;
            scale[r + i] = scales[i];
            for (uint32_t j = 0; j < sizes->width; ++j) {
                y_row[j] = x_row[j] * scales[i];
            }
        }
    }
}

void rmsnorm_backward(float *dx, const float *dy, const float *y, const float *scale, uint32_t rows,
                      const struct rmsnorm_sizes *sizes) {
    for (uint32_t r = 0; r < rows; r += ROWS) {
        const uint32_t count = rows - r < ROWS ? rows - r : ROWS;
        float projections[ROWS];
        dot_products(projections, dy + r * sizes->width, y + r * sizes->width, count, sizes->width);
        for (uint32_t i = 0; i < count; ++i) {
            const float *dy_row = dy + (r + i) * sizes->width;
            const float *y_row = y + (r + i) * sizes->width;
            float *dx_row = dx + (r + i) * sizes->width;
            const float projection = projections[i] * sizes->mean;
            for (uint32_t j = 0; j < sizes->width; ++j) {
                dx_row[j] = FMA32(FMA32(-y_row[j], projection, dy_row[j]), scale[r + i], dx_row[j]);
            }
        }
    }
}
