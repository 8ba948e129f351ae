// SPDX-License-Identifier: MIT
// The shape of a model: five numbers, from which the size of everything else follows.
#ifndef SHAPE_H
#define SHAPE_H

#include <stdint.h>

#include "core/dataset.h"

struct model_shape {
    uint32_t n_embd;     // width of the residual stream, divisible by n_head
    uint32_t n_head;     // attention heads
    uint32_t n_layer;    // layers
    uint32_t block_size; // longest sequence, in tokens
    uint32_t vocab_size; // characters of the text, and BOS
};

// Far above what any target here can hold: a slip of the finger stops here.
#define MOST_N_EMBD 1024u
#define MOST_N_HEAD 1024u
#define MOST_N_LAYER 64u
#define MOST_BLOCK_SIZE 1024u
#define MOST_VOCAB_SIZE DATASET_MOST_VOCABULARY

#define HEAD_SIZE(shape) ((shape)->n_embd / (shape)->n_head)
#define N_HIDDEN(shape) (4 * (shape)->n_embd)
#define N_QKV(shape) (3 * (shape)->n_embd)
#define BOS(shape) ((shape)->vocab_size - 1) // the token that begins and ends every document

enum shape_error {
    SHAPE_OK,
    SHAPE_OUT_OF_RANGE,   // a number is 0 or above its limit; vocab_size is at least 2
    SHAPE_HEADS_DIFFER,   // n_embd is no multiple of n_head
};

// Whether a shape makes a model.
enum shape_error shape_check(const struct model_shape *shape);

// Number of parameters of a shape that makes a model. microgpt.py: len(params).
uint32_t shape_parameters(const struct model_shape *shape);

#endif
