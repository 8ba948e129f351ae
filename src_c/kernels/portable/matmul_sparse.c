// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

static int is_zero(float x) { return float_bits(x) == 0; }

void matmul_nt_add_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        float *y_row = y + r * shape->y_stride;
        for (uint32_t k = 0; k < shape->depth; ++k) {
            const float factor = x[r * shape->x_stride + k];
            if (is_zero(factor)) {
                continue;
            }
            for (uint32_t c = 0; c < shape->columns; ++c) {
                y_row[c] = FMA32(factor, w[c * shape->w_stride + k], y_row[c]);
            }
        }
    }
}

void matmul_nn_masked(float *y, const float *x, const float *w, const float *active, uint32_t rows,
                      const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        const float *x_row = x + r * shape->x_stride;
        for (uint32_t c = 0; c < shape->columns; ++c) {
            float sum = 0.0f;
            if (!is_zero(active[r * shape->y_stride + c])) {
                sum = x_row[0] * w[c];
                for (uint32_t k = 1; k < shape->depth; ++k) {
                    sum = FMA32(x_row[k], w[k * shape->w_stride + c], sum);
                }
            }
            y[r * shape->y_stride + c] = sum;
        }
    }
}

// One row of y as a sum of rows of w, each times one element of x, which is often zero.
static void combine_active_rows(float *y, const float *x, uint32_t x_step, const float *w, uint32_t depth,
                                const struct matmul_shape *shape) {
    for (uint32_t c = 0; c < shape->columns; ++c) {
        y[c] = 0.0f;
    }
    for (uint32_t k = 0; k < depth; ++k) {
        const float factor = x[k * x_step];
        if (is_zero(factor)) {
            continue;
        }
        const float *w_row = w + k * shape->w_stride;
        for (uint32_t c = 0; c < shape->columns; ++c) {
            y[c] = FMA32(factor, w_row[c], y[c]);
        }
    }
}

void matmul_nn_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        combine_active_rows(y + r * shape->y_stride, x + r * shape->x_stride, 1, w, shape->depth, shape);
    }
}

void matmul_tn_sparse(float *y, const float *x, const float *w, uint32_t rows, uint32_t depth,
                      const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        combine_active_rows(y + r * shape->y_stride, x + r, shape->x_stride, w, depth, shape);
    }
}
