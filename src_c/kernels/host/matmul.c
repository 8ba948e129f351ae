// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "kernels/host/tiles.h"

static int is_zero(float x) { return float_bits(x) == 0; }

// A chain that leaves out zeros ends like one that takes them, unless it ends at zero, whose sign may differ, or as NaN,
// which 0 * infinity may have made.
static int may_differ_without_zeros(float sum) { return (float_bits(sum) << 1) - 1 >= 0xff000000u; }

// sum + those of x[k] * w[k * w_step] for k < depth where x[k] is not zero.
static float add_nonzero_terms(float sum, const float *x, const float *w, uint32_t w_step, uint32_t depth) {
    for (uint32_t k = 0; k < depth; ++k) {
        if (!is_zero(x[k])) {
            sum = FMA32(x[k], w[k * w_step], sum);
        }
    }
    return sum;
}

// matmul_nt, its chains from the first product or from y; with NONZERO_TERMS matmul_nt_add_sparse.
SPECIALISED void forward_product(enum start start, enum terms terms, float *y, const float *x, const float *w,
                                 uint32_t rows, const struct matmul_sizes *sizes) {
    struct block block;
    for (uint32_t r = 0; r < rows; r += BLOCK_ROWS) {
        const uint32_t block_rows = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
        const float *x_rows = x + r * sizes->x_stride;
        for (uint32_t c = 0; c < sizes->columns; c += BLOCK_COLUMNS) {
            const uint32_t columns = sizes->columns - c < BLOCK_COLUMNS ? sizes->columns - c : BLOCK_COLUMNS;
            const float *w_rows = w + c * sizes->w_stride;
            float *corner = y + r * sizes->y_stride + c;
            if (start == FROM_SUM) {
                for (uint32_t i = 0; i < block_rows; ++i) {
                    for (uint32_t j = 0; j < columns; ++j) {
                        block.sums[j][i] = corner[i * sizes->y_stride + j];
                    }
                }
            }
            block_dots(&block, start, c > 0, x_rows, sizes->x_stride, block_rows, w_rows, sizes->w_stride, columns,
                       sizes->depth);
            for (uint32_t i = 0; i < block_rows; ++i) {
                for (uint32_t j = 0; j < columns; ++j) {
                    float *out = corner + i * sizes->y_stride + j;
                    float sum = block.sums[j][i];
                    if (terms == NONZERO_TERMS && may_differ_without_zeros(sum)) {
                        const float *w_row = w_rows + j * sizes->w_stride;
                        sum = add_nonzero_terms(*out, x_rows + i * sizes->x_stride, w_row, 1, sizes->depth);
                    }
                    *out = sum;
                }
            }
        }
    }
}

void matmul_nt(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes) {
    forward_product(FROM_PRODUCT, ALL_TERMS, y, x, w, rows, sizes);
}

void matmul_nt_add(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes) {
    forward_product(FROM_SUM, ALL_TERMS, y, x, w, rows, sizes);
}

void matmul_nt_add_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes) {
    forward_product(FROM_SUM, NONZERO_TERMS, y, x, w, rows, sizes);
}

void matmul_nn(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes) {
    combine(ALL_TERMS, y, sizes->y_stride, x, sizes->x_stride, 1, w, sizes->w_stride, rows, sizes->columns, sizes->depth);
}

void matmul_nn_masked(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                      const struct matmul_sizes *sizes) {
    matmul_nn(y, x, w, rows, sizes);
    for (uint32_t r = 0; r < rows; ++r) {
        float *y_row = y + r * sizes->y_stride;
        const uint32_t *words = active + r / 32 * sizes->y_stride;
        for (uint32_t c = 0; c < sizes->columns; ++c) {
            y_row[c] = words[c] << r % 32 >> 31 ? y_row[c] : 0.0f;
        }
    }
}

void matmul_nn_sparse(float *y, const float *x, const float *w, uint32_t rows, const struct matmul_sizes *sizes) {
    matmul_nn(y, x, w, rows, sizes);
    for (uint32_t r = 0; r < rows; ++r) {
        float *y_row = y + r * sizes->y_stride;
        for (uint32_t c = 0; c < sizes->columns; ++c) {
            if (may_differ_without_zeros(y_row[c])) {
                y_row[c] = add_nonzero_terms(0.0f, x + r * sizes->x_stride, w + c, sizes->w_stride, sizes->depth);
            }
        }
    }
}

void matmul_tn(float *y, const float *x, const float *w, uint32_t rows, uint32_t depth,
               const struct matmul_sizes *sizes) {
    combine(ALL_TERMS, y, sizes->y_stride, x, 1, sizes->x_stride, w, sizes->w_stride, rows, sizes->columns, depth);
}

// The chain over the active positions of a unit; +0 without any. a and b: what it multiplies at position 0.
static float active_chain(const float *a, uint32_t a_stride, const float *b, uint32_t b_stride, const uint32_t *active,
                          uint32_t active_stride, uint32_t depth) {
    float sum = 0.0f;
    int begun = 0;
    for (uint32_t first = 0; first < depth; first += 32, active += active_stride) {
        for (uint32_t left = *active; left != 0;) {
            const uint32_t next = (uint32_t)__builtin_clz(left);
            const float x = a[(first + next) * a_stride], w = b[(first + next) * b_stride];
            sum = begun ? FMA32(x, w, sum) : x * w;
            begun = 1;
            left &= ~(0x80000000u >> next);
        }
    }
    return sum;
}

// Whether a unit has an active position.
static int is_live(const uint32_t *active, uint32_t active_stride, uint32_t depth) {
    uint32_t any = 0;
    for (uint32_t first = 0; first < depth; first += 32) {
        any |= active[first / 32 * active_stride];
    }
    return any != 0;
}

void matmul_tn_sparse(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                      const struct matmul_sizes *s) {
    matmul_tn(y, x, w, rows, s->depth, s);
    for (uint32_t r = 0; r < rows; ++r) {
        float *y_row = y + r * s->y_stride;
        const uint32_t keep = is_live(active + r, s->x_stride, s->depth) ? UINT32_MAX : 0;
        uint32_t doubtful = 0;
        for (uint32_t c = 0; c < s->columns; ++c) {
            doubtful |= keep & (uint32_t)may_differ_without_zeros(y_row[c]);
            y_row[c] = float_from_bits(float_bits(y_row[c]) & keep);
        }
        for (uint32_t c = 0; doubtful && c < s->columns; ++c) {
            y_row[c] = active_chain(x + r, s->x_stride, w + c, s->w_stride, active + r, s->x_stride, s->depth);
        }
    }
}

void matmul_tn_sparse_w(float *y, const float *x, const float *w, const uint32_t *active, uint32_t rows,
                        const struct matmul_sizes *s) {
    matmul_tn(y, x, w, rows, s->depth, s);
    for (uint32_t r = 0; r < rows; ++r) {
        float *y_row = y + r * s->y_stride;
        uint32_t doubtful = s->depth > 32; // the first words do not say all
        for (uint32_t c = 0; c < s->columns; ++c) {
            const uint32_t keep = active[c] ? UINT32_MAX : 0;
            doubtful |= keep & (uint32_t)may_differ_without_zeros(y_row[c]);
            y_row[c] = float_from_bits(float_bits(y_row[c]) & keep);
        }
        for (uint32_t c = 0; doubtful && c < s->columns; ++c) {
            y_row[c] = active_chain(x + r, s->x_stride, w + c, s->w_stride, active + c, s->w_stride, s->depth);
        }
    }
}
