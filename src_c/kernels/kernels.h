// SPDX-License-Identifier: MIT
// The kernels: everything in a training step that costs. plain/ defines the bits of every result, in C that any target can
// use; xtensa/ (assembly) and host/ (C shaped for vector units) are its twins and return the same bits.
//
// Matrices are row-major float32. A stride is the distance between two rows, in elements, and at least the row's length.
// Each output element is one chain of fused multiply-adds in ascending order of the summation index; it starts from the
// plain product of index 0 unless the contract names another start. Outputs never overlap inputs unless said.
#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/offsets.h"

#define ASSERT_OFFSET(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), "offsets.h")

// Sizes of one matrix product: everything that does not change from call to call.
struct matmul_sizes {
    uint32_t columns;  // of y; at least 1
    uint32_t depth;    // length of the sum; at least 1
    uint32_t y_stride;
    uint32_t x_stride;
    uint32_t w_stride;
};
ASSERT_OFFSET(matmul_sizes, columns, SIZES_COLUMNS);
ASSERT_OFFSET(matmul_sizes, depth, SIZES_DEPTH);
ASSERT_OFFSET(matmul_sizes, y_stride, SIZES_Y_STRIDE);
ASSERT_OFFSET(matmul_sizes, x_stride, SIZES_X_STRIDE);
ASSERT_OFFSET(matmul_sizes, w_stride, SIZES_W_STRIDE);

// Forward product.         y[r][c] = sum over k < depth of x[r][k] * w[c][k]                 r < rows, rows >= 1
void matmul_nt(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes);

// The same onto y:         y[r][c] = y[r][c] + sum over k < depth of x[r][k] * w[c][k]; the chain starts from y[r][c].
void matmul_nt_add(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes);

// Gradient of the input.   y[r][c] = sum over k < depth of x[r][k] * w[k][c]                 r < rows, rows >= 1
void matmul_nn(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes);

// Gradient of weights.     y[r][c] = sum over k < depth of x[k][r] * w[k][c]                 r < rows, rows >= 1
// Here depth, the number of positions, changes from call to call: the argument counts, not sizes->depth.
void matmul_tn(float *y, const float *x, const float *w, uint32_t rows, uint32_t depth, const struct matmul_sizes *sizes);

// Products around ReLU, whose zeros (five in six, once trained) are left out. "Zero" is +0, all bits clear; each chain starts
// from the named value and takes only the other terms, in ascending order.
// Forward onto y:          y[r][c] = y[r][c] + sum over k < depth, x[r][k] not zero, of x[r][k] * w[c][k]
void matmul_nt_add_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes);

// Gradient of the input:   y[r][c] = +0 + sum over k < depth, x[r][k] not zero, of x[r][k] * w[k][c]
void matmul_nn_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes);

// Which outputs of ReLU are not zero: position k of unit c is bit 31 - k % 32 of active[k / 32 * stride + c], so that the first
// is the highest. What follows the last position of the last word is clear.
#define ACTIVE_WORDS(positions) (((positions) + 31) / 32) // of each unit

// Gradient of ReLU's input: y[r][c] = sum over k < depth of x[r][k] * w[k][c] where r is active in unit c, elsewhere +0.
// The chain is matmul_nn's. active has y's stride.
void matmul_nn_masked(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                      const struct matmul_sizes *sizes);

// Gradient of weights whose outputs go through ReLU, one row for each unit; +0 where no k is active. active has x's stride, and
// x is +0 where it is clear.
//                          y[r][c] = sum over k < depth, k active in unit r, of x[k][r] * w[k][c]
void matmul_tn_sparse(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                      const struct matmul_sizes *sizes);

// Gradient of weights whose inputs come from ReLU, one column for each unit. active has w's stride, and w is +0 where it is
// clear.
//                          y[r][c] = sum over k < depth, k active in unit c, of x[k][r] * w[k][c]
void matmul_tn_sparse_w(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                        const struct matmul_sizes *sizes);

// Causal products: a triangle of scores, of which only [t][u] with u <= t is read or written. Chains as above.
// Scores of first <= t < last:     y[t][u] = sum over k < depth of x[t][k] * w[u][k]         u <= t
void causal_nt(float *y, const float *x, const float *w, uint32_t first, uint32_t last, const struct matmul_sizes *sizes);

// Mix for first <= t < last:       y[t][c] = sum over u <= t of x[t][u] * w[u][c]            x is the triangle
void causal_nn(float *y, const float *x, const float *w, uint32_t first, uint32_t last, const struct matmul_sizes *sizes);

// Transposed mix, u < positions:   y[u][c] = sum over u <= t < positions of x[t][u] * w[t][c]    x is the triangle
void causal_tn(float *y, const float *x, const float *w, uint32_t positions, const struct matmul_sizes *sizes);

// Rows that a softmax takes one by one: the first has length values, each other growth more than the one before it.
struct softmax_sizes {
    uint32_t stride;
    uint32_t growth;
};
ASSERT_OFFSET(softmax_sizes, stride, SOFTMAX_STRIDE);
ASSERT_OFFSET(softmax_sizes, growth, SOFTMAX_GROWTH);

// Softmax of scale * x, in place, times weight: with m the greatest x of a row, e[i] = exp32((x[i] - m) * scale),
// x[i] = e[i] * (weight * reciprocal32(sum of e, ascending)). x finite, rows >= 1, length >= 1, scale > 0.
void softmax(float *x, uint32_t rows, uint32_t length, const struct softmax_sizes *sizes, float scale, float weight);

// Gradient of softmax(scale * x) with weight 1, in place on dy: with dot the ascending chain of dy[i] * y[i] of a row,
// dy[i] = ((dy[i] - dot) * y[i]) * scale. rows >= 1, length >= 1.
void softmax_backward(float *dy, const float *y, uint32_t rows, uint32_t length, const struct softmax_sizes *sizes,
                      float scale);

// Sizes of an RMSNorm: rows of width values; mean is 1 / width.
struct rmsnorm_sizes {
    uint32_t width;
    float mean;
};
ASSERT_OFFSET(rmsnorm_sizes, width, NORM_WIDTH);
ASSERT_OFFSET(rmsnorm_sizes, mean, NORM_MEAN);
#define RMSNORM_EPSILON 1e-5f

// RMSNorm (microgpt.py rmsnorm): scale[r] = rsqrt32((chain of x * x) * mean + epsilon), y = x * scale. y may be x.
void rmsnorm(float *y, float *scale, const float *x, uint32_t rows, const struct rmsnorm_sizes *sizes);

// Its gradient onto dx: with c = (chain of dy * y) * mean, dx = dx + (dy - y * c) * scale, both steps fused.
void rmsnorm_backward(float *dx, const float *dy, const float *y, const float *scale, uint32_t rows,
                      const struct rmsnorm_sizes *sizes);

// x = max(0, x), in place, on rows of width values without a gap; what has its sign bit set becomes +0.
// active: which are not +0 now, in ACTIVE_WORDS(rows) rows of width words. rows >= 1.
void relu(float *x, uint32_t *active, uint32_t rows, uint32_t width);

// y = +0.
void vector_zero(float *y, uint32_t length);

// y = a + b. y may be a or b.
void vector_add(float *y, const float *a, const float *b, uint32_t length);

// One Adam step as numbers that hold for every weight; core/adam.c derives them from the step.
// The moments are kept without their factors 1 - beta, and in units that grow by 1 / sqrt(beta2) from step to step, as the
// gradients come in them: then the second moment need not decay, and is just the sum of the squares of the gradients.
struct adam_step {
    float gradient_scale; // unit of this step's gradients and of the moments after it
    float first_decay;    // beta1 / sqrt(beta2):  first = first_decay * first + g,  second = second + g * g
    float rate;           // learning rate with both bias corrections:  w = w - rate * first / (sqrt(second) + epsilon)
    float epsilon;        // Adam's epsilon in units of sqrt(second)
    float scaled_rate;    // -rate * RSQRT_SCALE
    float lifted_epsilon; // 2 RSQRT_ROOT_E epsilon
    float exact_below;    // second moments under this take the exact formula
    uint32_t all_large;   // whether no second moment of a matrix is; kernels do not read this
};
ASSERT_OFFSET(adam_step, first_decay, STEP_FIRST_DECAY);
ASSERT_OFFSET(adam_step, rate, STEP_RATE);
ASSERT_OFFSET(adam_step, epsilon, STEP_EPSILON);
ASSERT_OFFSET(adam_step, scaled_rate, STEP_SCALED_RATE);
ASSERT_OFFSET(adam_step, lifted_epsilon, STEP_LIFTED_EPSILON);
ASSERT_OFFSET(adam_step, exact_below, STEP_EXACT_BELOW);

// Adam on length weights with gradient g. Let s be the new second moment, compared with exact_below as an integer, by its bits.
//   s >= exact_below   w + (((first * scaled_rate) * y) * ((e + A)^2 + B)) * (e + C), last step fused, where y = rsqrt_seed(s),
//                      e = (lifted_epsilon + s * y) * y: the cubic of math32.h for s + 2 epsilon sqrt(s)
//   0 < s              w - (rate * first) * reciprocal32(sqrt32(s) + epsilon), last step fused
//   s = 0              w stays
void adam_update(float *w, float *first, float *second, const float *g, uint32_t length, const struct adam_step *step);

// The same where no new second moment is below exact_below: none is compared.
void adam_update_large(float *w, float *first, float *second, const float *g, uint32_t length, const struct adam_step *step);

// adam_update where the gradient is +0: first = first_decay * first, which keeps its sign if it is zero, and s = second.
void adam_decay(float *w, float *first, const float *second, uint32_t length, const struct adam_step *step);

#endif
