// SPDX-License-Identifier: MIT
// Every array of the learner, as data. core/plan.c finds a place for each.
#ifndef ARRAYS_H
#define ARRAYS_H

// What a stretch of memory is for, in reports.
#define PURPOSES(PURPOSE)                                                                                                \
    PURPOSE(ORDER, "order of documents")                                                                                 \
    PURPOSE(WEIGHTS, "weights")                                                                                          \
    PURPOSE(FIRST_MOMENTS, "Adam's first moments")                                                                       \
    PURPOSE(SECOND_MOMENTS, "Adam's second moments")                                                                     \
    PURPOSE(ACTIVATIONS, "activations")                                                                                  \
    PURPOSE(GRADIENTS, "gradients and scratch")

// The phases of a run, each a bit of an array's life. Two arrays may share memory if no phase has both.
enum phase {
    SHUFFLE = 1 << 0,   // the order of documents is drawn
    FORWARD = 1 << 1,   // forward pass, loss and its gradient
    LM_HEAD = 1 << 2,   // backward: lm_head
    FC2 = 1 << 3,       // of each layer, the last one first: the MLP, its second matrix
    FC1 = 1 << 4,       // and its first,
    OUTPUT = 1 << 5,    // attention's output product,
    SCORES = 1 << 6,    // attention itself,
    QKV = 1 << 7,       // queries, keys and values
    EMBEDDING = 1 << 8, // the norm behind the embedding, and wpe
    TOKENS = 1 << 9,    // wte
};
#define BACKWARD_LAYERS (FC2 | FC1 | OUTPUT | SCORES | QKV)
#define A_STEP (FORWARD | LM_HEAD | BACKWARD_LAYERS | EMBEDDING | TOKENS)

// name, purpose, length in bytes, life. Lengths use the names of core/plan.c: L layers, B positions, E width, H heads,
// V vocabulary, P parameters. Of all layers: [layer][position][...]. The order of this list decides who finds a place first:
// what lives long comes before what fits between, of which this order takes just what the busiest phase needs, but for a
// shape in twenty, and there 0.1 % more; and what is no whole number of cache lines of a PC comes behind what is.
#define ARRAYS(ARRAY)                                                                                                    \
    ARRAY(weights, WEIGHTS, floats(P, 1, 1, 1), A_STEP)                                                                  \
    ARRAY(first_moments, FIRST_MOMENTS, floats(P, 1, 1, 1), A_STEP)                                                      \
    ARRAY(second_moments, SECOND_MOMENTS, floats(P, 1, 1, 1), A_STEP)                                                    \
    ARRAY(attention, ACTIVATIONS, floats(L, H, B, B), FORWARD | BACKWARD_LAYERS | LM_HEAD)                               \
    ARRAY(hidden, ACTIVATIONS, floats(L, B, E, 4), FORWARD | BACKWARD_LAYERS | LM_HEAD)                                  \
    ARRAY(active, ACTIVATIONS, floats(L, ACTIVE_WORDS(B), E, 4), FORWARD | BACKWARD_LAYERS | LM_HEAD)                    \
    ARRAY(qkv, ACTIVATIONS, floats(L, B, E, 3), FORWARD | BACKWARD_LAYERS | LM_HEAD)                                     \
    ARRAY(attention_input, ACTIVATIONS, floats(L, B, E, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                         \
    ARRAY(mixed, ACTIVATIONS, floats(L, B, E, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                                   \
    ARRAY(mlp_input, ACTIVATIONS, floats(L, B, E, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                               \
    ARRAY(attention_scale, ACTIVATIONS, floats(L, B, 1, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                         \
    ARRAY(mlp_scale, ACTIVATIONS, floats(L, B, 1, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                               \
    ARRAY(residual_gradient, GRADIENTS, floats(B, E, 1, 1), LM_HEAD | BACKWARD_LAYERS | EMBEDDING)                       \
    ARRAY(hidden_gradient, GRADIENTS, floats(B, E, 4, 1), FC2 | FC1)                                                     \
    ARRAY(fc2_rows, GRADIENTS, floats(FC2_ROWS, E, 4, 1), FC2)                                                           \
    ARRAY(mixed_gradient, GRADIENTS, floats(B, E, 1, 1), OUTPUT | SCORES)                                                \
    ARRAY(branch_gradient, GRADIENTS, floats(B, E, 1, 1), FC1 | QKV | EMBEDDING | TOKENS)                                \
    ARRAY(residual, ACTIVATIONS, floats(B, E, 1, 1), FORWARD | LM_HEAD | EMBEDDING)                                      \
    ARRAY(qkv_gradient, GRADIENTS, floats(B, E, 3, 1), SCORES | QKV)                                                     \
    ARRAY(score_gradients, GRADIENTS, floats(B, B, 1, 1), SCORES)                                                        \
    ARRAY(few_rows, GRADIENTS, floats(FEW_ROWS, E, 1, 1), FC1 | QKV)                                                     \
    ARRAY(gradient_rows, GRADIENTS, floats(GRADIENT_ROWS, E, 1, 1), OUTPUT | TOKENS)                                     \
    ARRAY(embedding_scale, ACTIVATIONS, floats(B, 1, 1, 1), FORWARD | EMBEDDING)                                         \
    ARRAY(lm_head_rows, GRADIENTS, floats(GRADIENT_ROWS, E, 1, 1), LM_HEAD)                                              \
    ARRAY(logits, ACTIVATIONS, floats(B, V, 1, 1), FORWARD | LM_HEAD)                                                    \
    ARRAY(order, ORDER, order_bytes, A_STEP)                                                                             \
    ARRAY(tokens, ACTIVATIONS, token_bytes, A_STEP)                                                                      \
    ARRAY(shuffle, ORDER, shuffle_bytes, SHUFFLE)

// Rows of weights whose gradient is known at a time: where memory allows, few calls; a multiple of what matmul_tn takes at once
#define GRADIENT_ROWS 30u // of n_embd
#define FEW_ROWS 12u      // of n_embd, while the gradients of queries, keys and values or of hidden values are alive
#define FC2_ROWS 8u       // of 4 n_embd, what matmul_tn_sparse_w takes at once

#endif
