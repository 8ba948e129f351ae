// SPDX-License-Identifier: MIT
#include "core/shape.h"

#include <stdbool.h>

static bool within(uint32_t value, uint32_t least, uint32_t most) { return value >= least && value <= most; }

enum shape_error shape_check(const struct model_shape *shape) {
    if (!within(shape->n_embd, 1, MOST_N_EMBD) || !within(shape->n_head, 1, MOST_N_HEAD) ||
        !within(shape->n_layer, 1, MOST_N_LAYER) || !within(shape->block_size, 1, MOST_BLOCK_SIZE) ||
        !within(shape->vocab_size, 2, MOST_VOCAB_SIZE)) {
        return SHAPE_OUT_OF_RANGE;
    }
    return shape->n_embd % shape->n_head == 0 ? SHAPE_OK : SHAPE_HEADS_DIFFER;
}

uint32_t shape_parameters(const struct model_shape *shape) {
    const uint32_t embeddings = (2 * shape->vocab_size + shape->block_size) * shape->n_embd;
    return embeddings + shape->n_layer * 12 * shape->n_embd * shape->n_embd;
}
