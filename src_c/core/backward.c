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

// Adam on length weights from w on, whose gradient is g.
static void update(const struct pass *pass, const float *w, const float *g, uint32_t length) {
    const struct parameters *parameters = pass->parameters;
    const uint32_t offset = (uint32_t)(w - parameters->values);
    adam_update(parameters->values + offset, parameters->first_moments + offset, parameters->second_moments + offset, g,
                length, pass->step);
}

// Scratch for so many rows of weights, of which this worker has its share.
struct scratch {
    float *first;
    uint32_t rows;
};

static struct scratch my_scratch(const struct pass *pass, float *first, uint32_t rows, uint32_t width) {
    const struct worker *worker = pass->part->worker;
    const uint32_t share = worker->team->members == 1 ? rows : rows / MOST_MEMBERS;
    return (struct scratch){first + worker->index * share * width, share};
}

// Gradient and Adam step of the worker's rows of w[outputs][inputs] from dy[count][outputs] and x[count][inputs], as many at a
// time as `scratch` has room for. active: where ReLU stands behind w, what is not zero of dy; otherwise NULL.
static void update_rows(const struct pass *pass, const uint32_t *active, struct scratch scratch, const float *w,
                        const struct rows *dy, const struct rows *x) {
    const uint32_t inputs = x->width;
    const struct share outputs = team_share(pass->part->worker, dy->width, 1);
    const uint32_t end = outputs.first + outputs.count;
    const struct matmul_sizes sizes = {
        .columns = inputs, .depth = pass->count, .y_stride = inputs, .x_stride = dy->width, .w_stride = inputs};
    w += outputs.first * inputs;
    for (uint32_t first = outputs.first; first < end; first += scratch.rows) {
        const uint32_t rows = end - first < scratch.rows ? end - first : scratch.rows;
        if (active != NULL) {
            matmul_tn_sparse(scratch.first, dy->first + first, x->first, active + first, rows, &sizes);
        } else {
            matmul_tn(scratch.first, dy->first + first, x->first, rows, pass->count, &sizes);
        }
        update(pass, w, scratch.first, rows * inputs);
        w += rows * inputs;
    }
}

// The same for w that ReLU stands before: active says what is not zero of x, and workers share w's columns.
static void update_columns(const struct pass *pass, const uint32_t *active, const float *w, const struct rows *dy,
                           const struct rows *x) {
    const uint32_t outputs = dy->width;
    const struct share inputs = team_share(pass->part->worker, x->width, 1);
    const struct matmul_sizes sizes = {.columns = inputs.count,
                                       .depth = pass->count,
                                       .y_stride = inputs.count,
                                       .x_stride = outputs,
                                       .w_stride = x->width};
    float *gradient = pass->model->fc2_rows + FC2_ROWS * inputs.first;
    for (uint32_t first = 0; first < outputs; first += FC2_ROWS) {
        const uint32_t rows = outputs - first < FC2_ROWS ? outputs - first : FC2_ROWS;
        matmul_tn_sparse_w(gradient, dy->first + first, x->first + inputs.first, active + inputs.first, rows, &sizes);
        const float *mine = w + first * x->width + inputs.first;
        if (inputs.count == x->width) {
            update(pass, mine, gradient, rows * inputs.count);
            continue;
        }
        for (uint32_t i = 0; i < rows; ++i) {
            update(pass, mine + i * x->width, gradient + i * inputs.count, inputs.count);
        }
    }
}

static void attend_backward(const struct pass *pass, const struct layer_activations *layer) {
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
        for (uint32_t t = 0; t < count; ++t) {
            softmax_backward(row(scores, t), row(attention, t), t + 1, model->score_scale);
        }
        causal_nn(d_queries, scores.first, keys, 0, count, &model->products.backward.queries);
        causal_tn(d_keys, scores.first, queries, count, &model->products.backward.queries);
        attention.first = row(attention, model->shape.block_size);
    }
}

// Puts what the members have noted of their positions together, for the units whose weights this worker updates. Member 1's
// first position follows member 0's last.
static void gather_active(const struct pass *pass, const struct layer_activations *layer) {
    const struct worker *worker = pass->part->worker;
    if (worker->team->members == 1) {
        return;
    }
    const uint32_t width = layer->hidden.width;
    const struct worker second = {worker->team, 1};
    const struct share units = team_share(worker, width, 1);
    const struct part added = part_of_positions(&second, pass->count);
    const uint32_t words = ACTIVE_WORDS(added.count);
    const uint32_t shift = added.first % 32;
    const uint32_t *from = active_of(pass->model, layer, 1) + units.first;
    uint32_t *to = active_of(pass->model, layer, 0) + added.first / 32 * width + units.first;
    const uint32_t last = ACTIVE_WORDS(pass->count) - 1 - added.first / 32; // of the words from `to` on
    for (uint32_t i = 0; i < words; ++i) {
        for (uint32_t unit = 0; unit < units.count; ++unit) {
            const uint32_t bits = from[i * width + unit];
            if (shift == 0) {
                to[i * width + unit] = bits;
                continue;
            }
            to[i * width + unit] |= bits >> shift;
            if (i < last) {
                to[(i + 1) * width + unit] = bits << (32 - shift);
            }
        }
    }
}

// The phases of core/arrays.h with a barrier behind each. Weights are updated in a phase in which nobody reads them.
static void layer_backward(const struct pass *pass, uint32_t l) {
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
    const uint32_t width = model->shape.n_embd;
    const struct scratch rows = my_scratch(pass, model->gradient_rows, GRADIENT_ROWS, width);

    // HIDDEN
    if (has_rows) {
        matmul_nn_masked(row(*hidden, first), row(*residual, first), w.fc2, active_of(model, &layer, worker->index), count,
                         &products->backward.fc2);
    }
    team_barrier(worker); // FC2
    gather_active(pass, &layer);
    update_columns(pass, active_of(model, &layer, 0), w.fc2, residual, &layer.hidden);
    team_barrier(worker); // MLP_INPUT
    if (has_rows) {
        matmul_nn_sparse(row(*branch, first), row(*hidden, first), w.fc1, count, &products->backward.fc1);
        rmsnorm_backward(row(*residual, first), row(*branch, first), row(layer.mlp_input, first), layer.mlp_scale + first,
                         count, &products->norm);
    }
    team_barrier(worker); // FC1
    update_rows(pass, active_of(model, &layer, 0), my_scratch(pass, model->fc1_rows, FC1_ROWS, width), w.fc1, hidden,
                &layer.mlp_input);
    if (has_rows) {
        matmul_nn(row(*mixed, first), row(*residual, first), w.output, count, &products->backward.output);
    }
    team_barrier(worker); // SCORES
    attend_backward(pass, &layer);
    team_barrier(worker); // OUTPUT
    update_rows(pass, NULL, rows, w.output, residual, &layer.mixed);
    if (has_rows) {
        matmul_nn(row(*branch, first), row(*qkv, first), w.qkv, count, &products->backward.qkv);
    }
    team_barrier(worker); // QKV
    update_rows(pass, NULL, rows, w.qkv, qkv, &layer.attention_input);
    if (has_rows) {
        rmsnorm_backward(row(*residual, first), row(*branch, first), row(layer.attention_input, first),
                         layer.attention_scale + first, count, &products->norm);
    }
    team_barrier(worker);
}

// Embeddings: a token's row collects the gradient of every position it stands at. Rows of the other tokens and positions
// have gradient zero, and their moments decay.
static void embedding_backward(const struct pass *pass, const uint8_t *tokens) {
    const struct model *model = pass->model;
    const struct worker *worker = pass->part->worker;
    const uint32_t own = pass->part->first;
    const uint32_t width = model->shape.n_embd;
    const struct rows branch = model->branch_gradient;
    if (pass->part->has_rows) {
        const uint32_t count = pass->part->count;
        embed(model, &pass->weights, tokens + own, own, count); // again: cheaper than to keep it
        vector_zero(row(branch, own), count * width);
        rmsnorm_backward(row(branch, own), row(model->residual_gradient, own), row(model->residual, own),
                         model->embedding_scale + own, count, &model->products.norm);
    }
    team_barrier(worker);

    const struct share positions = team_share(worker, model->shape.block_size, 0);
    const uint32_t end = positions.first + positions.count;
    const uint32_t without = positions.first > pass->count ? positions.first : pass->count;
    if (without < end) {
        vector_zero(row(branch, without), (end - without) * width);
    }
    update(pass, pass->weights.position_embedding + positions.first * width, row(branch, positions.first),
           positions.count * width);

    const struct scratch scratch = my_scratch(pass, model->gradient_rows, GRADIENT_ROWS, width);
    const struct share vocab = team_share(worker, model->shape.vocab_size, 1);
    const float *w = pass->weights.token_embedding + vocab.first * width;
    for (uint32_t first = vocab.first; first < vocab.first + vocab.count; first += scratch.rows) {
        const uint32_t left = vocab.first + vocab.count - first;
        const uint32_t rows = left < scratch.rows ? left : scratch.rows;
        vector_zero(scratch.first, rows * width);
        for (uint32_t t = 0; t < pass->count; ++t) {
            const uint32_t token = (uint32_t)tokens[t] - first;
            if (token < rows) {
                float *sum = scratch.first + token * width;
                vector_add(sum, sum, row(branch, t), width);
            }
        }
        update(pass, w, scratch.first, rows * width);
        w += rows * width;
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
    update_rows(&pass, NULL, my_scratch(&pass, model->lm_head_rows, GRADIENT_ROWS, model->shape.n_embd), pass.weights.lm_head,
                &model->logits, &model->residual);
    team_barrier(part->worker);
    for (uint32_t l = model->shape.n_layer; l-- > 0;) {
        layer_backward(&pass, l);
    }
    embedding_backward(&pass, tokens);
    return loss;
}
