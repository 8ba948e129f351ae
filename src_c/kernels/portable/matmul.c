// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"

#include "math/math32.h"

void matmul_nt(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < shape->columns; ++c) {
            const float *x_row = x + r * shape->x_stride;
            const float *w_row = w + c * shape->w_stride;
            float sum = x_row[0] * w_row[0];
            for (uint32_t k = 1; k < shape->depth; ++k) {
                sum = FMA32(x_row[k], w_row[k], sum);
            }
            y[r * shape->y_stride + c] = sum;
        }
    }
}

void matmul_nt_add(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < shape->columns; ++c) {
            const float *x_row = x + r * shape->x_stride;
            const float *w_row = w + c * shape->w_stride;
            float sum = y[r * shape->y_stride + c];
            for (uint32_t k = 0; k < shape->depth; ++k) {
                sum = FMA32(x_row[k], w_row[k], sum);
            }
            y[r * shape->y_stride + c] = sum;
        }
    }
}

// One row of y as a sum of rows of w, each times one element of x.
static void combine_rows(float *y, const float *x, uint32_t x_step, const float *w, uint32_t depth,
                         const struct matmul_shape *shape) {
    for (uint32_t c = 0; c < shape->columns; ++c) {
        y[c] = x[0] * w[c];
    }
    for (uint32_t k = 1; k < depth; ++k) {
        const float factor = x[k * x_step];
        const float *w_row = w + k * shape->w_stride;
        for (uint32_t c = 0; c < shape->columns; ++c) {
            y[c] = FMA32(factor, w_row[c], y[c]);
        }
    }
}

void matmul_nn(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        combine_rows(y + r * shape->y_stride, x + r * shape->x_stride, 1, w, shape->depth, shape);
    }
}

void matmul_tn(float *y, const float *x, const float *w, uint32_t rows, uint32_t depth,
               const struct matmul_shape *shape) {
    for (uint32_t r = 0; r < rows; ++r) {
        combine_rows(y + r * shape->y_stride, x + r, shape->x_stride, w, depth, shape);
    }
}

void causal_nt(float *y, const float *x, const float *w, uint32_t first, uint32_t last,
               const struct matmul_shape *shape) {
    for (uint32_t t = first; t < last; ++t) {
        const float *x_row = x + t * shape->x_stride;
        for (uint32_t u = 0; u <= t; ++u) {
            const float *w_row = w + u * shape->w_stride;
            float sum = x_row[0] * w_row[0];
            for (uint32_t k = 1; k < shape->depth; ++k) {
                sum = FMA32(x_row[k], w_row[k], sum);
            }
            y[t * shape->y_stride + u] = sum;
        }
    }
}

void causal_nn(float *y, const float *x, const float *w, uint32_t first, uint32_t last,
               const struct matmul_shape *shape) {
    for (uint32_t t = first; t < last; ++t) {
        combine_rows(y + t * shape->y_stride, x + t * shape->x_stride, 1, w, t + 1, shape);
    }
}

void causal_tn(float *y, const float *x, const float *w, uint32_t positions, const struct matmul_shape *shape) {
    for (uint32_t u = 0; u < positions; ++u) {
        combine_rows(y + u * shape->y_stride, x + u * shape->x_stride + u, shape->x_stride, w + u * shape->w_stride,
                     positions - u, shape);
    }
}
