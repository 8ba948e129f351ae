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

// The phases of a run, each a bit of an array's life, between which a team meets at a barrier: within one, no member writes what
// another reads or writes. Two arrays may share memory if no phase has both.
enum phase {
    SHUFFLE = 1 << 0,    // the order of documents is drawn
    FORWARD = 1 << 1,    // forward pass, loss and its gradient, and that of the residual stream behind the last layer
    LM_HEAD = 1 << 2,    // backward: update of lm_head
    FC2 = 1 << 3,        // of each layer, the last one first: gradient of the MLP's hidden values, update of its second matrix,
    MLP_INPUT = 1 << 4,  // gradient of its input,
    FC1 = 1 << 5,        // update of its first matrix; gradient of what attention mixed,
    SCORES = 1 << 6,     // attention itself,
    OUTPUT = 1 << 7,     // update of its output product; gradient of its input,
    QKV = 1 << 8,        // update of queries, keys and values
    EMBEDDING = 1 << 9,  // the norm behind the embedding, update of wpe
    TOKENS = 1 << 10,    // update of wte
};
#define BACKWARD_LAYERS (FC2 | MLP_INPUT | FC1 | SCORES | OUTPUT | QKV)
#define A_STEP (FORWARD | LM_HEAD | BACKWARD_LAYERS | EMBEDDING | TOKENS)

// name, purpose, length in bytes, life. Lengths use the names of core/plan.c: L layers, B positions, E width, H heads,
// V vocabulary, P parameters. Of all layers: [layer][position][...]. For generation alone (struct plan_request) only
// activations have a length, and most of them that of one position: rows and layers are 1. The order of this list decides
// who finds a place first: what lives long comes before what fits between, of which this order takes just what the busiest
// phase needs; and what is no whole number of cache lines of a PC comes behind what is.
#define ARRAYS(ARRAY)                                                                                                    \
    ARRAY(weights, WEIGHTS, floats(P, 1, 1, 1), A_STEP)                                                                  \
    ARRAY(first_moments, FIRST_MOMENTS, floats(P, 1, 1, 1), A_STEP)                                                      \
    ARRAY(second_moments, SECOND_MOMENTS, floats(P, 1, 1, 1), A_STEP)                                                    \
    ARRAY(keys, ACTIVATIONS, kept_bytes, FORWARD)                                                                        \
    ARRAY(values, ACTIVATIONS, kept_bytes, FORWARD)                                                                      \
    ARRAY(attention, ACTIVATIONS, floats(L, H, rows, B), FORWARD | BACKWARD_LAYERS | LM_HEAD)                            \
    ARRAY(hidden, ACTIVATIONS, floats(layers, rows, E, 4), FORWARD | BACKWARD_LAYERS | LM_HEAD)                          \
    ARRAY(active, ACTIVATIONS, floats(layers, active_words, E, 4), FORWARD | BACKWARD_LAYERS | LM_HEAD)                  \
    ARRAY(qkv, ACTIVATIONS, qkv_bytes, FORWARD | BACKWARD_LAYERS | LM_HEAD)                                              \
    ARRAY(attention_input, ACTIVATIONS, floats(layers, rows, E, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                 \
    ARRAY(mixed, ACTIVATIONS, floats(layers, rows, E, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                           \
    ARRAY(mlp_input, ACTIVATIONS, floats(layers, rows, E, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                       \
    ARRAY(attention_scale, ACTIVATIONS, floats(L, B, 1, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                         \
    ARRAY(mlp_scale, ACTIVATIONS, floats(L, B, 1, 1), FORWARD | BACKWARD_LAYERS | LM_HEAD)                               \
    ARRAY(residual_gradient, GRADIENTS, floats(B, E, 1, 1), FORWARD | LM_HEAD | BACKWARD_LAYERS | EMBEDDING)             \
    ARRAY(mixed_gradient, GRADIENTS, floats(B, E, 1, 1), FC1 | SCORES)                                                   \
    ARRAY(branch_gradient, GRADIENTS, floats(B, E, 1, 1), MLP_INPUT | OUTPUT | QKV | EMBEDDING | TOKENS)                 \
    ARRAY(logits, ACTIVATIONS, floats(B, V, 1, 1), FORWARD | LM_HEAD)                                                    \
    ARRAY(qkv_gradient, GRADIENTS, floats(B, E, 3, 1), SCORES | OUTPUT | QKV)                                            \
    ARRAY(score_gradients, GRADIENTS, floats(B, B, MOST_MEMBERS, 1), SCORES)                                             \
    ARRAY(gradient_rows, GRADIENTS, floats(GRADIENT_ROWS, E, 1, 1), OUTPUT | QKV)                                        \
    ARRAY(fc1_rows, GRADIENTS, floats(FC1_ROWS, E, 1, 1), FC1)                                                           \
    ARRAY(fc2_rows, GRADIENTS, floats(FC2_ROWS, E, 4, 1), FC2)                                                           \
    ARRAY(lm_head_rows, GRADIENTS, floats(GRADIENT_ROWS, E, 1, 1), LM_HEAD)                                              \
    ARRAY(residual, ACTIVATIONS, floats(rows, E, 1, 1), FORWARD | LM_HEAD | EMBEDDING)                                   \
    ARRAY(hidden_gradient, GRADIENTS, floats(B, E, 4, 1), FC2 | MLP_INPUT | FC1)                                         \
    ARRAY(embedding_scale, ACTIVATIONS, floats(B, 1, 1, 1), FORWARD | EMBEDDING)                                         \
    ARRAY(log_probabilities, ACTIVATIONS, floats(B, 1, 1, 1), FORWARD | LM_HEAD)                                         \
    ARRAY(order, ORDER, order_bytes, A_STEP)                                                                             \
    ARRAY(tokens, ACTIVATIONS, token_bytes, A_STEP)                                                                      \
    ARRAY(shuffle, ORDER, shuffle_bytes, SHUFFLE)

// Rows of weights whose gradient is known at a time, by all members of a team: where memory allows, few calls
#define GRADIENT_ROWS 30u // of n_embd
#define FC1_ROWS 16u      // of n_embd
#define FC2_ROWS 8u       // of 4 n_embd, what matmul_tn_sparse_w takes at once

#endif
