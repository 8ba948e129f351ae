// SPDX-License-Identifier: MIT
// Tiles of the products, in the form that a host's compiler turns into vector instructions: the sums of a tile are local
// arrays, and every inner loop runs over neighbours with a length known after inlining. Each sum stays its own chain.
#ifndef HOST_TILES_H
#define HOST_TILES_H

#include <stdint.h>

#include "math/math32.h"

#define SPECIALISED static inline __attribute__((always_inline)) // for each constant that a caller passes

#define TILE_ROWS 4
#define TILE_LANES 16 // at most

enum terms { ALL_TERMS, NONZERO_TERMS };
enum start { FROM_SUM, FROM_PRODUCT }; // of a chain: what stands there, or the first product

// sum + a * b; for NONZERO_TERMS, sum where a is +0. Written on bits, so that no compiler makes a branch of it.
SPECIALISED float add_term(enum terms terms, float a, float b, float sum) {
    const float next = FMA32(a, b, sum);
    if (terms == ALL_TERMS) {
        return next;
    }
    const uint32_t keep = float_bits(a) == 0 ? UINT32_MAX : 0;
    return float_from_bits((float_bits(sum) & keep) | (float_bits(next) & ~keep));
}

// y[r][c] = sum over k < depth of x_r[k * x_step] * w[k][c] for four rows and c < lanes <= TILE_LANES. The chain starts from
// the first product, or from +0 for NONZERO_TERMS. Rows may be the same.
SPECIALISED void combine_tile(uint32_t lanes, enum terms terms, float *const y[TILE_ROWS],
                              const float *const x[TILE_ROWS], uint32_t x_step, const float *w, uint32_t w_stride,
                              uint32_t depth) {
    float s0[TILE_LANES], s1[TILE_LANES], s2[TILE_LANES], s3[TILE_LANES];
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    if (terms == ALL_TERMS) {
        for (uint32_t l = 0; l < lanes; ++l) {
            s0[l] = *x0 * w[l];
            s1[l] = *x1 * w[l];
            s2[l] = *x2 * w[l];
            s3[l] = *x3 * w[l];
        }
        x0 += x_step;
        x1 += x_step;
        x2 += x_step;
        x3 += x_step;
        w += w_stride;
        --depth;
    } else {
        for (uint32_t l = 0; l < lanes; ++l) {
            s0[l] = s1[l] = s2[l] = s3[l] = 0.0f;
        }
    }
    for (; depth != 0; --depth) {
        const float a0 = *x0, a1 = *x1, a2 = *x2, a3 = *x3;
        for (uint32_t l = 0; l < lanes; ++l) {
            s0[l] = add_term(terms, a0, w[l], s0[l]);
            s1[l] = add_term(terms, a1, w[l], s1[l]);
            s2[l] = add_term(terms, a2, w[l], s2[l]);
            s3[l] = add_term(terms, a3, w[l], s3[l]);
        }
        x0 += x_step;
        x1 += x_step;
        x2 += x_step;
        x3 += x_step;
        w += w_stride;
    }
    for (uint32_t l = 0; l < lanes; ++l) { // a loop for each row: they may overlap, and one loop would then go one by one
        y[0][l] = s0[l];
    }
    for (uint32_t l = 0; l < lanes; ++l) {
        y[1][l] = s1[l];
    }
    for (uint32_t l = 0; l < lanes; ++l) {
        y[2][l] = s2[l];
    }
    for (uint32_t l = 0; l < lanes; ++l) {
        y[3][l] = s3[l];
    }
}

// y[r][c] = sum over k < depth of x[r * x_row + k * x_step] * w[k][c], any rows and columns. A last row tile that is not
// full repeats the last row.
SPECIALISED void combine(enum terms terms, float *y, uint32_t y_stride, const float *x, uint32_t x_row, uint32_t x_step,
                         const float *w, uint32_t w_stride, uint32_t rows, uint32_t columns, uint32_t depth) {
    for (uint32_t r = 0; r < rows; r += TILE_ROWS) {
        float *y_rows[TILE_ROWS];
        const float *x_rows[TILE_ROWS];
        for (uint32_t i = 0; i < TILE_ROWS; ++i) {
            const uint32_t row = r + i < rows ? r + i : rows - 1;
            y_rows[i] = y + row * y_stride;
            x_rows[i] = x + row * x_row;
        }
        uint32_t c = 0;
        for (; c + TILE_LANES <= columns; c += TILE_LANES) {
            float *const at[] = {y_rows[0] + c, y_rows[1] + c, y_rows[2] + c, y_rows[3] + c};
            combine_tile(TILE_LANES, terms, at, x_rows, x_step, w + c, w_stride, depth);
        }
        for (; c + 4 <= columns; c += 4) {
            float *const at[] = {y_rows[0] + c, y_rows[1] + c, y_rows[2] + c, y_rows[3] + c};
            combine_tile(4, terms, at, x_rows, x_step, w + c, w_stride, depth);
        }
        for (; c < columns; ++c) {
            float *const at[] = {y_rows[0] + c, y_rows[1] + c, y_rows[2] + c, y_rows[3] + c};
            combine_tile(1, terms, at, x_rows, x_step, w + c, w_stride, depth);
        }
    }
}

// Dot products of up to BLOCK_ROWS rows, side by side in vectors, with columns that are rows of the other matrix.
#define BLOCK_ROWS 8
#define BLOCK_COLUMNS 16
#define BLOCK_DEPTH 16

struct block {
    float x[BLOCK_DEPTH][BLOCK_ROWS];
    float sums[BLOCK_COLUMNS][BLOCK_ROWS]; // [column][row]
};

// block->x[k][r] = x[r][k] for k < depth <= BLOCK_DEPTH; rows from `rows` on repeat the last one.
SPECIALISED void block_load(struct block *block, const float *x, uint32_t x_stride, uint32_t rows, uint32_t depth) {
    for (uint32_t r = 0; r < BLOCK_ROWS; ++r) {
        const float *x_row = x + (r < rows ? r : rows - 1) * x_stride;
        for (uint32_t k = 0; k < depth; ++k) {
            block->x[k][r] = x_row[k];
        }
    }
}

// Adds the products of k < depth to eight columns of block->sums, from `column` on. Where fewer than eight `columns` are
// left, the last one is repeated; block->sums has room for it.
SPECIALISED void block_tile(struct block *block, uint32_t column, enum start start, const float *w, uint32_t w_stride,
                            uint32_t columns, uint32_t depth) {
    float s0[BLOCK_ROWS], s1[BLOCK_ROWS], s2[BLOCK_ROWS], s3[BLOCK_ROWS];
    float s4[BLOCK_ROWS], s5[BLOCK_ROWS], s6[BLOCK_ROWS], s7[BLOCK_ROWS];
    const float *w0 = w, *w1 = w0 + (columns > 1 ? w_stride : 0), *w2 = w1 + (columns > 2 ? w_stride : 0);
    const float *w3 = w2 + (columns > 3 ? w_stride : 0), *w4 = w3 + (columns > 4 ? w_stride : 0);
    const float *w5 = w4 + (columns > 5 ? w_stride : 0), *w6 = w5 + (columns > 6 ? w_stride : 0);
    const float *w7 = w6 + (columns > 7 ? w_stride : 0);
    float(*sums)[BLOCK_ROWS] = block->sums + column;
    uint32_t k = 0;
    if (start == FROM_PRODUCT) {
        const float *x = block->x[0];
        for (uint32_t r = 0; r < BLOCK_ROWS; ++r) {
            s0[r] = x[r] * *w0;
            s1[r] = x[r] * *w1;
            s2[r] = x[r] * *w2;
            s3[r] = x[r] * *w3;
            s4[r] = x[r] * *w4;
            s5[r] = x[r] * *w5;
            s6[r] = x[r] * *w6;
            s7[r] = x[r] * *w7;
        }
        k = 1;
    } else {
        for (uint32_t r = 0; r < BLOCK_ROWS; ++r) {
            s0[r] = sums[0][r];
            s1[r] = sums[1][r];
            s2[r] = sums[2][r];
            s3[r] = sums[3][r];
            s4[r] = sums[4][r];
            s5[r] = sums[5][r];
            s6[r] = sums[6][r];
            s7[r] = sums[7][r];
        }
    }
    for (; k < depth; ++k) {
        const float *x = block->x[k];
        for (uint32_t r = 0; r < BLOCK_ROWS; ++r) {
            s0[r] = FMA32(x[r], w0[k], s0[r]);
            s1[r] = FMA32(x[r], w1[k], s1[r]);
            s2[r] = FMA32(x[r], w2[k], s2[r]);
            s3[r] = FMA32(x[r], w3[k], s3[r]);
            s4[r] = FMA32(x[r], w4[k], s4[r]);
            s5[r] = FMA32(x[r], w5[k], s5[r]);
            s6[r] = FMA32(x[r], w6[k], s6[r]);
            s7[r] = FMA32(x[r], w7[k], s7[r]);
        }
    }
    const float *const s[] = {s0, s1, s2, s3, s4, s5, s6, s7};
    for (uint32_t i = 0; i < 8; ++i) {
        for (uint32_t r = 0; r < BLOCK_ROWS; ++r) {
            sums[i][r] = s[i][r];
        }
    }
}

// block->sums[c][r] = sum over k < depth of x[r][k] * w[c][k], for c < columns <= BLOCK_COLUMNS, r < rows <= BLOCK_ROWS.
// loaded: block->x still holds the beginning of these x.
SPECIALISED void block_dots(struct block *block, enum start start, int loaded, const float *x, uint32_t x_stride,
                            uint32_t rows, const float *w, uint32_t w_stride, uint32_t columns, uint32_t depth) {
    for (uint32_t k = 0; k < depth; k += BLOCK_DEPTH) {
        const uint32_t terms = depth - k < BLOCK_DEPTH ? depth - k : BLOCK_DEPTH;
        if (!loaded || depth > BLOCK_DEPTH) {
            block_load(block, x + k, x_stride, rows, terms);
        }
        for (uint32_t c = 0; c < columns; c += 8) {
            const float *w_rows = w + c * w_stride + k;
            if (start == FROM_PRODUCT && k == 0) {
                block_tile(block, c, FROM_PRODUCT, w_rows, w_stride, columns - c, terms);
            } else {
                block_tile(block, c, FROM_SUM, w_rows, w_stride, columns - c, terms);
            }
        }
    }
}

#endif
