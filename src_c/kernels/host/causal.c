// SPDX-License-Identifier: MIT
#include "kernels/kernels.h"
#include "kernels/host/tiles.h"

// A block of keys side by side, the queries that see them as its columns: what comes out are pieces of score rows.
void causal_nt(float *y, const float *x, const float *w, uint32_t first, uint32_t last,
               const struct matmul_sizes *sizes) {
    struct block block;
    for (uint32_t u = 0; u < last; u += BLOCK_ROWS) {
        const uint32_t keys = last - u < BLOCK_ROWS ? last - u : BLOCK_ROWS;
        const uint32_t begin = first > u ? first : u;
        for (uint32_t t = begin; t < last; t += BLOCK_COLUMNS) {
            const uint32_t queries = last - t < BLOCK_COLUMNS ? last - t : BLOCK_COLUMNS;
            block_dots(&block, FROM_PRODUCT, t > begin, w + u * sizes->w_stride, sizes->w_stride, keys,
                       x + t * sizes->x_stride, sizes->x_stride, queries, sizes->depth);
            for (uint32_t i = 0; i < queries; ++i) {
                const uint32_t visible = t + i - u + 1 < keys ? t + i - u + 1 : keys;
                for (uint32_t j = 0; j < visible; ++j) {
                    y[(t + i) * sizes->y_stride + u + j] = block.sums[i][j];
                }
            }
        }
    }
}

// lanes of one row of y as a sum of rows of w, each times one element of x.
SPECIALISED void combine_lanes(uint32_t lanes, float *y, const float *x, uint32_t x_step, const float *w,
                               uint32_t w_stride, uint32_t depth) {
    float sums[TILE_LANES];
    for (uint32_t l = 0; l < lanes; ++l) {
        sums[l] = *x * w[l];
    }
    while (--depth != 0) {
        x += x_step;
        w += w_stride;
        const float factor = *x;
        for (uint32_t l = 0; l < lanes; ++l) {
            sums[l] = FMA32(factor, w[l], sums[l]);
        }
    }
    for (uint32_t l = 0; l < lanes; ++l) {
        y[l] = sums[l];
    }
}

static void combine_row(float *y, const float *x, uint32_t x_step, const float *w, uint32_t depth,
                        const struct matmul_sizes *sizes) {
    uint32_t c = 0;
    for (; c + TILE_LANES <= sizes->columns; c += TILE_LANES) {
        combine_lanes(TILE_LANES, y + c, x, x_step, w + c, sizes->w_stride, depth);
    }
    for (; c + 4 <= sizes->columns; c += 4) {
        combine_lanes(4, y + c, x, x_step, w + c, sizes->w_stride, depth);
    }
    for (; c < sizes->columns; ++c) {
        combine_lanes(1, y + c, x, x_step, w + c, sizes->w_stride, depth);
    }
}

void causal_nn(float *y, const float *x, const float *w, uint32_t first, uint32_t last,
               const struct matmul_sizes *sizes) {
    for (uint32_t t = first; t < last; ++t) {
        combine_row(y + t * sizes->y_stride, x + t * sizes->x_stride, 1, w, t + 1, sizes);
    }
}

void causal_tn(float *y, const float *x, const float *w, uint32_t positions, const struct matmul_sizes *sizes) {
    for (uint32_t u = 0; u < positions; ++u) {
        combine_row(y + u * sizes->y_stride, x + u * sizes->x_stride + u, sizes->x_stride, w + u * sizes->w_stride,
                    positions - u, sizes);
    }
}
