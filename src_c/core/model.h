// SPDX-License-Identifier: MIT
// A model: its shape, the sizes of its matrix products, and where its arrays lie. Nothing here owns memory.
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/plan.h"
#include "core/shape.h"
#include "core/team.h"
#include "kernels/kernels.h"

// Kept out of its caller's stack frame, which would be as large as all that is inlined together.
#define OWN_FRAME __attribute__((noinline))

// A matrix with a row for each position; of width 0, one row for whichever position is in hand.
struct rows {
    float *first;
    uint32_t width;
};

static inline float *row(struct rows rows, uint32_t position) { return rows.first + position * rows.width; }

// microgpt.py's state_dict in its order, in one piece: initialisation, checksum and files follow it. Row-major [out][in].
struct weights {
    const float *token_embedding;    // wte     [vocab_size][n_embd]
    const float *position_embedding; // wpe     [block_size][n_embd]
    const float *lm_head;            // lm_head [vocab_size][n_embd]
    const float *layers;             // of each layer in turn, what struct layer_weights names
};

struct layer_weights {
    const float *qkv;      // attn_wq, attn_wk, attn_wv [3 n_embd][n_embd]
    const float *output;   // attn_wo                   [n_embd][n_embd]
    const float *fc1;      // mlp_fc1                   [4 n_embd][n_embd]
    const float *fc2;      // mlp_fc2                   [n_embd][4 n_embd]
};

// Activations of one layer: what the backward pass needs, or what generation does.
struct layer_activations {
    struct rows attention_input; // n_embd wide
    float *attention_scale;
    struct rows qkv;       // queries, n_embd; unless for generation alone, keys and values stand beside them
    struct rows keys;      // n_embd; those of earlier positions stay while a name is generated
    struct rows values;    // as keys
    struct rows attention; // block_size wide: a triangle for each head
    struct rows mixed;     // n_embd wide
    struct rows mlp_input; // n_embd wide
    float *mlp_scale;
    struct rows hidden; // 4 n_embd wide
    uint32_t *active;   // which of hidden are not zero, as relu() says it: words of part 0, then of part 1 (active_of)
};

// Sizes of the products of both passes, named for what they compute; w is [out][in].
struct products {
    struct rmsnorm_sizes norm;
    struct softmax_sizes attention; // of a head: of position t, t + 1 scores
    struct softmax_sizes logits;
    struct {
        struct matmul_sizes qkv, output, fc1, fc2, lm_head; // y = x w^T
        struct matmul_sizes scores, mix;
    } forward;
    struct {
        struct matmul_sizes qkv, output, fc1, fc2, lm_head; // dx = dy w
        struct matmul_sizes scores, values, queries;
    } backward;
};

struct model {
    struct model_shape shape;
    bool generates; // alone: no backward pass, and positions come one by one
    uint32_t parameters;
    float score_scale; // 1 / sqrt(head size)
    struct products products;

    struct layer_activations first_layer; // where the activations of layer 0 lie; those of the others follow
    struct rows residual;                 // n_embd wide
    float *embedding_scale;
    struct rows logits; // vocab_size wide: then probabilities, then their gradient, in place
    float *log_probabilities; // of each position's target
    uint8_t *tokens;    // block_size + 1

    // Gradients of activations, and of a few rows of weights at a time; no array holds the gradient of all weights.
    struct rows residual_gradient;
    struct rows branch_gradient;
    struct rows hidden_gradient;
    struct rows qkv_gradient;
    struct rows mixed_gradient;
    struct rows score_gradients; // of one head for each member of a team, block_size wide
    float *gradient_rows;        // GRADIENT_ROWS * n_embd
    float *fc1_rows;             // FC1_ROWS * n_embd
    float *fc2_rows;             // FC2_ROWS * 4 n_embd
    float *lm_head_rows;         // GRADIENT_ROWS * n_embd
};

static inline struct layer_weights layer_weights(const struct model_shape *shape, const struct weights *weights, uint32_t layer) {
    const uint32_t square = shape->n_embd * shape->n_embd;
    struct layer_weights w;
    w.qkv = weights->layers + layer * 12 * square;
    w.output = w.qkv + 3 * square;
    w.fc1 = w.output + square;
    w.fc2 = w.fc1 + 4 * square;
    return w;
}

// Length of one head's attention in one layer.
static inline uint32_t head_floats(const struct model *model) {
    return (model->generates ? 1 : model->shape.block_size) * model->shape.block_size;
}

static inline struct rows rows_of_layer(struct rows first, uint32_t layer, uint32_t rows) {
    return (struct rows){row(first, layer * rows), first.width};
}

static inline struct layer_activations layer_activations(const struct model *model, uint32_t layer) {
    const struct layer_activations *first = &model->first_layer;
    const uint32_t positions = model->shape.block_size;
    const uint32_t active_words = MOST_MEMBERS * ACTIVE_WORDS(positions) * N_HIDDEN(&model->shape);
    return (struct layer_activations){
        .attention_input = rows_of_layer(first->attention_input, layer, positions),
        .attention_scale = first->attention_scale + layer * positions,
        .qkv = rows_of_layer(first->qkv, layer, positions),
        .keys = rows_of_layer(first->keys, layer, positions),
        .values = rows_of_layer(first->values, layer, positions),
        .attention = {first->attention.first + layer * model->shape.n_head * head_floats(model), first->attention.width},
        .mixed = rows_of_layer(first->mixed, layer, positions),
        .mlp_input = rows_of_layer(first->mlp_input, layer, positions),
        .mlp_scale = first->mlp_scale + layer * positions,
        .hidden = rows_of_layer(first->hidden, layer, positions),
        .active = model->generates ? first->active : first->active + layer * active_words,
    };
}

// What relu() has noted of the positions of a part; the array of part 0 holds those of all once a pass has gone back to it.
static inline uint32_t *active_of(const struct model *model, const struct layer_activations *layer, uint32_t part) {
    const uint32_t words = model->generates ? 1 : ACTIVE_WORDS(model->shape.block_size);
    return layer->active + part * words * N_HIDDEN(&model->shape);
}

// Weights of this shape that lie from `first` on.
struct weights weights_at(const struct model_shape *shape, const float *first);

// Where array `id` lies.
void *array_at(const struct plan *plan, const struct banks *banks, enum array_id id);

// A model as requested on arrays that have their places.
void model_place(struct model *model, const struct plan_request *request, const struct plan *plan, const struct banks *banks);

// What one member of a team computes of a forward pass.
struct part {
    const struct worker *worker;
    uint32_t first, count; // positions
    uint32_t number;       // of the part, in the order of positions
    bool has_rows;         // whether it computes whole rows of these: all but the products of a shared position
    bool by_outputs;       // whether all members share a position, product by product
};

// The worker's share of positions 0 .. count - 1. The last ones go to member 0: they are no more than the others, and it has
// the jobs to prepare.
struct part part_of_positions(const struct worker *worker, uint32_t count);

// The worker's share of a lone position.
static inline struct part part_of_outputs(const struct worker *worker, const struct model_shape *shape, uint32_t position) {
    if (worker->team->members == 1 || shape->n_embd < MOST_MEMBERS) {
        const bool is_mine = worker->index == 0;
        return (struct part){worker, position, is_mine, 0, is_mine, false};
    }
    return (struct part){worker, position, 1, 0, worker->index == 0, true};
}

// Logits of the part's positions for these tokens, given the keys and values of earlier positions. All members call it; a
// shared position's logits are whole behind the next barrier.
// tokens: one for each position, tokens[0] is that of the part's first. Leaves activations for backward(). microgpt.py: gpt().
void forward(const struct part *part, const struct model *model, const struct weights *weights, const uint8_t *tokens);

// The first step of forward(): the residual stream of positions first .. first + count - 1 before the first layer.
void embed(const struct model *model, const struct weights *weights, const uint8_t *tokens, uint32_t first, uint32_t count);

// Turns the logits of the part's positions into gradient_scale times their share in the gradient of the mean cross-entropy of
// `count` positions, and keeps the logarithm of each target's probability. targets: of all positions, from 0 on.
void cross_entropy(const struct part *part, const struct model *model, const uint8_t *targets, uint32_t count,
                   float gradient_scale);

// The parameters with their moments, each array in the order of struct weights.
struct parameters {
    float *values;
    float *first_moments;
    float *second_moments;
};

// Backward pass after forward() and cross_entropy() of `count` positions from 0 on; each weight takes its Adam step as soon as
// its gradient is complete, with nothing reading the old value afterwards. All members call it, and all have ended when it
// returns. part: of positions. Returns the mean cross-entropy, in nats.
float backward(const struct part *part, const struct model *model, const struct parameters *parameters, const uint8_t *tokens,
               uint32_t count, const struct adam_step *step);

#endif
