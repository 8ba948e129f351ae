// SPDX-License-Identifier: MIT
#include <stddef.h>

#include "core/model.h"
#include "kernels/kernels.h"
#include "math/math32.h"

// What every step of the pass needs.
struct pass {
    const struct part *part; // the positions whose gradients this worker computes
    const struct model *model;
    struct weights weights;
    const struct parameters *parameters;
    const struct adam_step *step;
    uint32_t count; // positions of all workers
};

// Adam on length weights from w on, whose gradient is g. large: their second moments are known to be.
static void update(const struct pass *pass, const float *w, const float *g, uint32_t length, uint32_t large) {
    const struct parameters *parameters = pass->parameters;
    const uint32_t offset = (uint32_t)(w - parameters->values);
    float *values = parameters->values + offset;
    float *first = parameters->first_moments + offset;
    float *second = parameters->second_moments + offset;
    if (large) {
        adam_update_large(values, first, second, g, length, pass->step);
    } else {
        adam_update(values, first, second, g, length, pass->step);
    }
}

// Adam on length weights from w on, whose gradient is zero.
static void decay(const struct pass *pass, const float *w, uint32_t length) {
    const struct parameters *parameters = pass->parameters;
    const uint32_t offset = (uint32_t)(w - parameters->values);
    adam_decay(parameters->values + offset, parameters->first_moments + offset, parameters->second_moments + offset, length,
               pass->step);
}

// A matrix w[outputs][inputs] whose gradient is that of dy[count][outputs] and x[count][inputs]. In a struct, for arguments
// beyond six would go over the stack.
struct gradient {
    const float *w;
    const struct rows *dy;
    const struct rows *x;
    const uint32_t *active; // where ReLU stands behind w, what is not zero of dy; otherwise NULL
    float *scratch;         // for so many rows of w, of which each worker has its share
    uint32_t rows;
};

// Gradient and Adam step of the worker's rows of w, as many at a time as its scratch has room for.
static void update_rows(const struct pass *pass, const struct gradient *gradient) {
    const struct worker *worker = pass->part->worker;
    const struct rows *dy = gradient->dy;
    const uint32_t inputs = gradient->x->width;
    const struct share outputs = team_share(worker, dy->width, 1);
    const uint32_t end = outputs.first + outputs.count;
    const uint32_t at_once = worker->team->members == 1 ? gradient->rows : gradient->rows / MOST_MEMBERS;
    const struct matmul_sizes sizes = {
        .columns = inputs, .depth = pass->count, .y_stride = inputs, .x_stride = dy->width, .w_stride = inputs};
    float *g = gradient->scratch + worker->index * at_once * inputs;
    const float *w = gradient->w + outputs.first * inputs;
    for (uint32_t first = outputs.first; first < end; first += at_once) {
        const uint32_t rows = end - first < at_once ? end - first : at_once;
        if (gradient->active != NULL) {
            matmul_tn_sparse(g, dy->first + first, gradient->x->first, gradient->active + first, rows, &sizes);
        } else {
            matmul_tn(g, dy->first + first, gradient->x->first, rows, pass->count, &sizes);
        }
        update(pass, w, g, rows * inputs, pass->step->all_large);
        w += rows * inputs;
    }
}

// The same for a matrix of a layer; active: as in struct gradient.
OWN_FRAME static void update_matrix(const struct pass *pass, const float *w, const struct rows *dy, const struct rows *x,
                                    const uint32_t *active) {
    const struct model *model = pass->model;
    const struct gradient gradient = {.w = w,
                                      .dy = dy,
                                      .x = x,
                                      .active = active,
                                      .scratch = active != NULL ? model->fc1_rows : model->gradient_rows,
                                      .rows = active != NULL ? FC1_ROWS : GRADIENT_ROWS};
    update_rows(pass, &gradient);
}

// The same for the columns `inputs` of w, that ReLU stands before: active says what is not zero of x.
static void update_columns(const struct pass *pass, const struct share *inputs, const uint32_t *active, const float *w,
                           const struct rows *dy, const struct rows *x) {
    const uint32_t outputs = dy->width;
    const uint32_t count = inputs->count;
    const struct matmul_sizes sizes = {
        .columns = count, .depth = pass->count, .y_stride = count, .x_stride = outputs, .w_stride = x->width};
    float *gradient = pass->model->fc2_rows + FC2_ROWS * inputs->first;
    for (uint32_t first = 0; first < outputs; first += FC2_ROWS) {
        const uint32_t rows = outputs - first < FC2_ROWS ? outputs - first : FC2_ROWS;
        const float *mine = w + first * x->width + inputs->first;
        matmul_tn_sparse_w(gradient, dy->first + first, x->first + inputs->first, active + inputs->first, rows, &sizes);
        if (count == x->width) {
            update(pass, mine, gradient, rows * count, pass->step->all_large);
            continue;
        }
        for (uint32_t i = 0; i < rows; ++i) {
            update(pass, mine + i * x->width, gradient + i * count, count, pass->step->all_large);
        }
    }
}

OWN_FRAME static void attend_backward(const struct pass *pass, const struct layer_activations *layer) {
    const struct model *model = pass->model;
    const struct worker *worker = pass->part->worker;
    const uint32_t count = pass->count;
    const uint32_t width = model->shape.n_embd;
    const uint32_t head_size = model->products.forward.mix.columns;
    const struct share heads = team_share(worker, model->shape.n_head, 1);
    struct rows scores = model->score_gradients;
    struct rows attention = layer->attention;
    scores.first = row(scores, worker->index * model->shape.block_size);
    attention.first = row(attention, heads.first * model->shape.block_size);
    for (uint32_t head = heads.first; head < heads.first + heads.count; ++head) {
        const uint32_t column = head * head_size;
        const float *queries = layer->qkv.first + column;
        const float *keys = queries + width;
        const float *values = keys + width;
        const float *mixed = model->mixed_gradient.first + column;
        float *d_queries = model->qkv_gradient.first + column;
        float *d_keys = d_queries + width;
        float *d_values = d_keys + width;

        causal_tn(d_values, attention.first, mixed, count, &model->products.backward.values);
        causal_nt(scores.first, mixed, values, 0, count, &model->products.backward.scores);
        softmax_backward(scores.first, attention.first, count, 1, &model->products.attention, model->score_scale);
        causal_nn(d_queries, scores.first, keys, 0, count, &model->products.backward.queries);
        causal_tn(d_keys, scores.first, queries, count, &model->products.backward.queries);
        attention.first = row(attention, model->shape.block_size);
    }
}

// Puts what relu() has noted of both parts together, for some units. Part 1's first position follows part 0's last, so that its
// words move down by as many bits.
static void gather_active(const struct pass *pass, const struct layer_activations *layer, const struct share *units) {
    const struct worker *worker = pass->part->worker;
    if (worker->team->members == 1) {
        return;
    }
    const struct worker of_part_1 = {worker->team, 0};
    const struct part added = part_of_positions(&of_part_1, pass->count);
    const uint32_t width = layer->hidden.width;
    const uint32_t shift = added.first % 32;
    const uint32_t *from = active_of(pass->model, layer, 1) + units->first;
    uint32_t *to = active_of(pass->model, layer, 0) + units->first;
    const uint32_t last = ACTIVE_WORDS(pass->count) - 1;
    for (uint32_t word = added.first / 32, left = ACTIVE_WORDS(added.count); left > 0; ++word, --left) {
        uint32_t *sum = to + word * width;
        for (uint32_t i = 0; i < units->count; ++i) {
            sum[i] = shift == 0 ? from[i] : sum[i] | from[i] >> shift;
        }
        for (uint32_t i = 0; i < units->count && shift > 0 && word < last; ++i) {
            sum[i + width] = from[i] << (32 - shift);
        }
        from += width;
    }
}

// The worker's units of the gradient of hidden values, and Adam's step of the weights behind them.
OWN_FRAME static void hidden_backward(const struct pass *pass, const struct layer_activations *layer, const float *fc2) {
    const struct model *model = pass->model;
    const struct matmul_sizes *whole = &model->products.backward.fc2;
    const struct share units = team_share(pass->part->worker, whole->columns, 1);
    const struct matmul_sizes sizes = {.columns = units.count,
                                       .depth = whole->depth,
                                       .y_stride = whole->y_stride,
                                       .x_stride = whole->x_stride,
                                       .w_stride = whole->w_stride};
    const uint32_t *active = active_of(model, layer, 0);
    gather_active(pass, layer, &units);
    matmul_nn_masked(model->hidden_gradient.first + units.first, model->residual_gradient.first, fc2 + units.first,
                     active + units.first, pass->count, &sizes);
    update_columns(pass, &units, active, fc2, &model->residual_gradient, &layer->hidden);
}

// The phases of core/arrays.h with a barrier behind each. Weights are updated in a phase in which nobody reads them.
OWN_FRAME static void layer_backward(const struct pass *pass, uint32_t l) {
    const struct model *model = pass->model;
    const struct worker *worker = pass->part->worker;
    const uint32_t first = pass->part->first;
    const uint32_t count = pass->part->count;
    const bool has_rows = pass->part->has_rows;
    const struct layer_weights w = layer_weights(&model->shape, &pass->weights, l);
    const struct layer_activations layer = layer_activations(model, l);
    const struct rows *residual = &model->residual_gradient;
    const struct rows *branch = &model->branch_gradient;
    const struct rows *hidden = &model->hidden_gradient;
    const struct rows *mixed = &model->mixed_gradient;
    const struct rows *qkv = &model->qkv_gradient;
    const struct products *products = &model->products;

    hidden_backward(pass, &layer, w.fc2);
    team_barrier(worker); // MLP_INPUT
    if (has_rows) {
        matmul_nn_sparse(row(*branch, first), row(*hidden, first), w.fc1, count, &products->backward.fc1);
        rmsnorm_backward(row(*residual, first), row(*branch, first), row(layer.mlp_input, first), layer.mlp_scale + first,
                         count, &products->norm);
    }
    team_barrier(worker); // FC1
    update_matrix(pass, w.fc1, hidden, &layer.mlp_input, active_of(model, &layer, 0));
    if (has_rows) {
        matmul_nn(row(*mixed, first), row(*residual, first), w.output, count, &products->backward.output);
    }
    team_barrier(worker); // SCORES
    attend_backward(pass, &layer);
    team_barrier(worker); // OUTPUT
    update_matrix(pass, w.output, residual, &layer.mixed, NULL);
    if (has_rows) {
        matmul_nn(row(*branch, first), row(*qkv, first), w.qkv, count, &products->backward.qkv);
    }
    team_barrier(worker); // QKV
    update_matrix(pass, w.qkv, qkv, &layer.attention_input, NULL);
    if (has_rows) {
        rmsnorm_backward(row(*residual, first), row(*branch, first), row(layer.attention_input, first),
                         layer.attention_scale + first, count, &products->norm);
    }
    team_barrier(worker);
}

static uint32_t first_position(const uint8_t *tokens, uint32_t token) {
    uint32_t t = 0;
    while (tokens[t] != token) {
        ++t;
    }
    return t;
}

// Adds the gradients of a token's later positions to that of its first.
static void sum_of_token(const struct pass *pass, const uint8_t *tokens, uint32_t first) {
    const struct rows branch = pass->model->branch_gradient;
    for (uint32_t t = first + 1; t < pass->count; ++t) {
        if (tokens[t] == tokens[first]) {
            vector_add(row(branch, first), row(branch, first), row(branch, t), branch.width);
        }
    }
}

// Of `count` rows of w from `first` on, decays those that this worker is to.
static void decay_rows(const struct pass *pass, const float *w, uint32_t first, uint32_t count, const struct share *mine) {
    const uint32_t width = pass->model->shape.n_embd;
    const uint32_t end = mine->first + mine->count;
    const uint32_t from = first > mine->first ? first : mine->first;
    const uint32_t to = first + count < end ? first + count : end;
    if (from < to) {
        decay(pass, w + from * width, (to - from) * width);
    }
}

#define TOKENS_AT_ONCE 31u // one bit each, and one behind the last

// Gradient and Adam step of the rows of `rows` tokens from `first` on, whose gradient is the sum over the positions they stand at.
// Those that the document does not hold have gradient zero.
static void update_tokens(const struct pass *pass, const uint8_t *tokens, uint32_t first, uint32_t rows) {
    const uint32_t top = 0x80000000u;
    const uint32_t width = pass->model->shape.n_embd;
    const struct rows branch = pass->model->branch_gradient;
    const float *w = pass->weights.token_embedding + first * width;
    uint32_t present = top >> rows; // bit 31 - i: the document holds token first + i
    for (uint32_t t = 0; t < pass->count; ++t) {
        const uint32_t token = tokens[t] - first;
        present |= token < rows ? top >> token : 0;
    }
    const struct worker *worker = pass->part->worker;
    const struct share to_decay = team_share(worker, rows, 1);
    uint32_t turn = worker->index; // members take the tokens of the document in turns
    for (uint32_t token = 0; token < rows;) {
        const uint32_t absent = (uint32_t)__builtin_clz(present << token);
        if (absent > 0) {
            decay_rows(pass, w, token, absent, &to_decay);
        } else if (turn++ % worker->team->members == 0) {
            const uint32_t t = first_position(tokens, first + token);
            sum_of_token(pass, tokens, t);
            update(pass, w + token * width, row(branch, t), width, 0);
        }
        token += absent > 0 ? absent : 1;
    }
}

OWN_FRAME static void embedding_backward(const struct pass *pass, const uint8_t *tokens) {
    const struct model *model = pass->model;
    const struct worker *worker = pass->part->worker;
    const uint32_t first = pass->part->first;
    const uint32_t width = model->shape.n_embd;
    const float *positions = pass->weights.position_embedding;
    const struct rows branch = model->branch_gradient;
    if (pass->part->has_rows) {
        const uint32_t count = pass->part->count;
        vector_zero(row(branch, first), count * width);
        embed(model, &pass->weights, tokens + first, first, count); // again: cheaper than to keep it
        rmsnorm_backward(row(branch, first), row(model->residual_gradient, first), row(model->residual, first),
                         model->embedding_scale + first, count, &model->products.norm);
        update(pass, positions + first * width, row(branch, first), count * width, 0);
    }
    const struct share without = team_share(worker, model->shape.block_size - pass->count, 0);
    decay(pass, positions + (pass->count + without.first) * width, without.count * width);
    team_barrier(worker); // TOKENS
    const uint32_t vocab = model->shape.vocab_size;
    for (uint32_t token = 0; token < vocab; token += TOKENS_AT_ONCE) {
        update_tokens(pass, tokens, token, vocab - token < TOKENS_AT_ONCE ? vocab - token : TOKENS_AT_ONCE);
    }
    team_barrier(worker);
}

// The mean cross-entropy, in nats.
static float mean_loss(const struct model *model, uint32_t count) {
    float total = 0.0f;
    for (uint32_t t = 0; t < count; ++t) {
        total -= model->log_probabilities[t];
    }
    return total * reciprocal32((float)count);
}

float backward(const struct part *part, const struct model *model, const struct parameters *parameters, const uint8_t *tokens,
               uint32_t count, const struct adam_step *step) {
    const struct pass pass = {part, model, weights_at(&model->shape, parameters->values), parameters, step, count};
    if (part->has_rows) {
        matmul_nn(row(model->residual_gradient, part->first), row(model->logits, part->first), pass.weights.lm_head, part->count,
                  &model->products.backward.lm_head);
    }
    team_barrier(part->worker);
    const float loss = mean_loss(model, count);
    const struct gradient lm_head = {
        pass.weights.lm_head, &model->logits, &model->residual, NULL, model->lm_head_rows, GRADIENT_ROWS};
    update_rows(&pass, &lm_head);
    team_barrier(part->worker);
    for (uint32_t l = model->shape.n_layer; l-- > 0;) {
        layer_backward(&pass, l);
    }
    embedding_backward(&pass, tokens);
    return loss;
}
