// SPDX-License-Identifier: MIT
// The model's shapes and all of its memory. Every array is static; nothing is allocated.
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#include "generated/model_config.h"

#define HEAD_SIZE (N_EMBD / N_HEAD)
#define N_HIDDEN (4 * N_EMBD)
#define N_QKV (3 * N_EMBD)
#define N_PARAMETERS ((uint32_t)(sizeof(struct weights) / sizeof(float)))
#define BOS (VOCAB_SIZE - 1) // begins and ends every document

_Static_assert(N_EMBD % N_HEAD == 0, "heads share the embedding evenly");
_Static_assert(VOCAB_SIZE >= 2 && VOCAB_SIZE <= 256, "a token is one byte");
_Static_assert(NUM_DOCS >= 1 && NUM_DOCS <= 65535, "the shuffle holds 16-bit indices");

struct layer_weights {
    float qkv[N_QKV][N_EMBD]; // microgpt.py's attn_wq, attn_wk, attn_wv, one after the other
    float output[N_EMBD][N_EMBD];
    float expand[N_HIDDEN][N_EMBD];
    float contract[N_EMBD][N_HIDDEN];
};

// microgpt.py's state_dict, in its order: initialisation, checksum and files follow it.
struct weights {
    float token_embedding[VOCAB_SIZE][N_EMBD];
    float position_embedding[BLOCK_SIZE][N_EMBD];
    float lm_head[VOCAB_SIZE][N_EMBD];
    struct layer_weights layer[N_LAYER];
};
_Static_assert(sizeof(struct weights) ==
                   sizeof(float) * ((2 * VOCAB_SIZE + BLOCK_SIZE) * N_EMBD + N_LAYER * 12 * N_EMBD * N_EMBD),
               "weights lie without gaps");

// What the backward pass needs of one layer; index 0 of every array is the position.
struct layer_activations {
    float attention_input[BLOCK_SIZE][N_EMBD];
    float attention_scale[BLOCK_SIZE];
    float qkv[BLOCK_SIZE][N_QKV]; // keys and values of earlier positions stay here while a name is generated
    float attention[N_HEAD][BLOCK_SIZE][BLOCK_SIZE];
    float mixed[BLOCK_SIZE][N_EMBD];
    float mlp_input[BLOCK_SIZE][N_EMBD];
    float mlp_scale[BLOCK_SIZE];
    float hidden[BLOCK_SIZE][N_HIDDEN];
};

#define GRADIENT_ROW_FLOATS (12 * N_EMBD) // whole weight rows: 12 of N_EMBD, or 3 of N_HIDDEN

// The forward pass, and what the backward pass puts in the place of what it has used up.
struct activations {
    float embedding_scale[BLOCK_SIZE];
    struct layer_activations layer[N_LAYER];
    union {
        float residual[BLOCK_SIZE][N_EMBD];
        float score_gradients[BLOCK_SIZE][BLOCK_SIZE]; // of one head
        float gradient_rows[GRADIENT_ROW_FLOATS];      // of the weights that are being updated
    };
    union {
        float logits[BLOCK_SIZE][VOCAB_SIZE]; // then probabilities, then their gradient, in place
        float branch_gradient[BLOCK_SIZE][N_EMBD];
    };
};

// Gradients of activations. No array holds the weights' gradient.
struct gradients {
    float residual[BLOCK_SIZE][N_EMBD];
    union { // scratch for lm_head's rows, then of the MLP, then of attention
        float gradient_rows[GRADIENT_ROW_FLOATS];
        float hidden[BLOCK_SIZE][N_HIDDEN];
        struct {
            float qkv[BLOCK_SIZE][N_QKV];
            float mixed[BLOCK_SIZE][N_EMBD];
        } attention;
    };
};

struct training_memory {
    struct weights weights;
    struct weights first_moment;
    struct weights second_moment;
    struct activations activations;
    struct gradients gradients;
};

// One arena, two lives: the shuffle ends before the weights begin.
union arena {
    uint16_t shuffle[NUM_DOCS];
    struct training_memory training;
};
extern union arena arena;

// Logits of positions first .. first + count - 1 for these tokens, given the keys and values of earlier positions.
// tokens: one for each position, tokens[0] is that of position first; first + count <= BLOCK_SIZE.
// Leaves activations for backward(). microgpt.py: gpt().
void forward(const uint8_t *tokens, uint32_t first, uint32_t count);

// Turns the logits of positions 0 .. count - 1 into gradient_scale times the gradient of their mean cross-entropy, and
// returns that mean, in nats.
float cross_entropy(const uint8_t *targets, uint32_t count, float gradient_scale);

// The first step of forward(): the residual stream of positions first .. first + count - 1 before the first layer.
void embed(const uint8_t *tokens, uint32_t first, uint32_t count);

struct adam_step;

// Backward pass after forward(tokens, 0, count) and cross_entropy(); each weight takes its Adam step as soon as its gradient
// is complete, with nothing reading the old value afterwards.
void backward(const uint8_t *tokens, uint32_t count, const struct adam_step *step);

#endif
