// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "math/math32.h"

// x[0] * w[0] + x[x_step] * w[w_step] + ..., depth terms: the chain of kernels.h.
static float dot(const float *x, uint32_t x_step, const float *w, uint32_t w_step, uint32_t depth) {
    float sum = x[0] * w[0];
    for (uint32_t k = 1; k < depth; ++k) {
        sum = FMA32(x[k * x_step], w[k * w_step], sum);
    }
    return sum;
}

// sum + x[0] * w[0] + x[x_step] * w[w_step] + ..., depth terms.
static float add(float sum, const float *x, uint32_t x_step, const float *w, uint32_t w_step, uint32_t depth) {
    for (uint32_t k = 0; k < depth; ++k) {
        sum = FMA32(x[k * x_step], w[k * w_step], sum);
    }
    return sum;
}

static int is_zero(float x) { return float_bits(x) == 0; }

// The same without the terms whose x is zero.
static float add_sparse(float sum, const float *x, uint32_t x_step, const float *w, uint32_t w_step, uint32_t depth) {
    for (uint32_t k = 0; k < depth; ++k) {
        if (!is_zero(x[k * x_step])) {
            sum = FMA32(x[k * x_step], w[k * w_step], sum);
        }
    }
    return sum;
}

void matmul_nt(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            y[r * s->y_stride + c] = dot(x + r * s->x_stride, 1, w + c * s->w_stride, 1, s->depth);
        }
    }
}

void matmul_nt_add(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            float *out = &y[r * s->y_stride + c];
            *out = add(*out, x + r * s->x_stride, 1, w + c * s->w_stride, 1, s->depth);
        }
    }
}

void matmul_nt_add_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            float *out = &y[r * s->y_stride + c];
            *out = add_sparse(*out, x + r * s->x_stride, 1, w + c * s->w_stride, 1, s->depth);
        }
    }
}

void matmul_nn(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            y[r * s->y_stride + c] = dot(x + r * s->x_stride, 1, w + c, s->w_stride, s->depth);
        }
    }
}

// Whether position k of a unit is active; its words lie `stride` apart.
static int is_active(const uint32_t *unit, uint32_t stride, uint32_t k) {
    return (unit[k / 32 * stride] & 0x80000000u >> k % 32) != 0;
}

void matmul_nn_masked(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                      const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            const float sum = dot(x + r * s->x_stride, 1, w + c, s->w_stride, s->depth);
            y[r * s->y_stride + c] = is_active(active + c, s->y_stride, r) ? sum : 0.0f;
        }
    }
}

void matmul_nn_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            y[r * s->y_stride + c] = add_sparse(0.0f, x + r * s->x_stride, 1, w + c, s->w_stride, s->depth);
        }
    }
}

void matmul_tn(float *y, const float *x, const float *w, uint32_t rows, uint32_t depth, const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            y[r * s->y_stride + c] = dot(x + r, s->x_stride, w + c, s->w_stride, depth);
        }
    }
}

// The chain over the active positions of a unit; +0 if there are none.
static float dot_active(const float *x, uint32_t x_step, const float *w, uint32_t w_step, const uint32_t *active,
                        uint32_t active_step, uint32_t depth) {
    float sum = 0.0f;
    int begun = 0;
    for (uint32_t k = 0; k < depth; ++k) {
        if (is_active(active, active_step, k)) {
            const float a = x[k * x_step], b = w[k * w_step];
            sum = begun ? FMA32(a, b, sum) : a * b;
            begun = 1;
        }
    }
    return sum;
}

void matmul_tn_sparse(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                      const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            y[r * s->y_stride + c] = dot_active(x + r, s->x_stride, w + c, s->w_stride, active + r, s->x_stride, s->depth);
        }
    }
}

void matmul_tn_sparse_w(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                        const struct matmul_sizes *s) {
    for (uint32_t r = 0; r < rows; ++r) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            y[r * s->y_stride + c] = dot_active(x + r, s->x_stride, w + c, s->w_stride, active + c, s->w_stride, s->depth);
        }
    }
}

void causal_nt(float *y, const float *x, const float *w, uint32_t first, uint32_t last, const struct matmul_sizes *s) {
    for (uint32_t t = first; t < last; ++t) {
        for (uint32_t u = 0; u <= t; ++u) {
            y[t * s->y_stride + u] = dot(x + t * s->x_stride, 1, w + u * s->w_stride, 1, s->depth);
        }
    }
}

void causal_nn(float *y, const float *x, const float *w, uint32_t first, uint32_t last, const struct matmul_sizes *s) {
    for (uint32_t t = first; t < last; ++t) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            y[t * s->y_stride + c] = dot(x + t * s->x_stride, 1, w + c, s->w_stride, t + 1);
        }
    }
}

void causal_tn(float *y, const float *x, const float *w, uint32_t positions, const struct matmul_sizes *s) {
    for (uint32_t u = 0; u < positions; ++u) {
        for (uint32_t c = 0; c < s->columns; ++c) {
            const float *x_from = x + u * s->x_stride + u, *w_from = w + u * s->w_stride + c;
            y[u * s->y_stride + c] = dot(x_from, s->x_stride, w_from, s->w_stride, positions - u);
        }
    }
}
