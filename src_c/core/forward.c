// SPDX-License-Identifier: MIT
#include "core/model.h"
#include "kernels/kernels.h"
#include "math/math32.h"

struct part part_of_positions(const struct worker *worker, uint32_t count) {
    const struct worker mirrored = {worker->team, worker->team->members - 1 - worker->index};
    const struct share share = team_share(&mirrored, count, 0);
    return (struct part){worker, share.first, share.count, mirrored.index, share.count > 0, false};
}

// Where a lone position is shared, each product needs all outputs of the one before.
static inline void meet(const struct part *part) {
    if (part->by_outputs) {
        team_barrier(part->worker);
    }
}

void embed(const struct model *model, const struct weights *weights, const uint8_t *tokens, uint32_t first, uint32_t count) {
    const uint32_t width = model->shape.n_embd;
    float *residual = row(model->residual, first);
    for (uint32_t i = 0; i < count; ++i) {
        vector_add(residual + i * width, weights->token_embedding + tokens[i] * width,
                   weights->position_embedding + (first + i) * width, width);
    }
    rmsnorm(residual, model->embedding_scale + first, residual, count, &model->products.norm);
}

enum product { PLAIN, ONTO, SPARSE_ONTO };

// The outputs that a worker computes of the part's positions.
static inline struct share outputs_of(const struct part *part, uint32_t columns) {
    return part->by_outputs ? team_share(part->worker, columns, 0) : (struct share){0, columns};
}

// These outputs of y = x w^T, or of y += x w^T.
static void multiply(const struct part *part, enum product product, float *y, const float *x, const float *w,
                     const struct matmul_sizes *sizes) {
    struct matmul_sizes mine;
    if (part->by_outputs) {
        const struct share outputs = outputs_of(part, sizes->columns);
        mine.columns = outputs.count;
        mine.depth = sizes->depth;
        mine.y_stride = sizes->y_stride;
        mine.x_stride = sizes->x_stride;
        mine.w_stride = sizes->w_stride;
        y += outputs.first;
        w += outputs.first * sizes->w_stride;
        sizes = &mine;
    }
    switch (product) {
    case PLAIN:
        matmul_nt(y, x, w, part->count, sizes);
        break;
    case ONTO:
        matmul_nt_add(y, x, w, part->count, sizes);
        break;
    case SPARSE_ONTO:
        matmul_nt_add_sparse(y, x, w, part->count, sizes);
        break;
    }
}

// Queries, keys and values: one product, unless they are apart.
static void project(const struct part *part, const struct model *model, const struct layer_activations *layer, const float *w) {
    const uint32_t square = model->shape.n_embd * model->shape.n_embd;
    const float *x = row(layer->attention_input, part->first);
    if (!model->generates) {
        multiply(part, PLAIN, row(layer->qkv, part->first), x, w, &model->products.forward.qkv);
        return;
    }
    const struct matmul_sizes *each = &model->products.forward.output;
    multiply(part, PLAIN, row(layer->qkv, part->first), x, w, each);
    multiply(part, PLAIN, row(layer->keys, part->first), x, w + square, each);
    multiply(part, PLAIN, row(layer->values, part->first), x, w + 2 * square, each);
}

static void attend(const struct part *part, const struct model *model, const struct layer_activations *layer) {
    const uint32_t head_size = model->products.forward.mix.columns;
    const uint32_t last = part->first + part->count;
    const struct share heads = outputs_of(part, model->shape.n_head);
    const uint32_t column = heads.first * head_size;
    const uint32_t floats = head_floats(model);
    const float *queries = layer->qkv.first + column;
    const float *keys = layer->keys.first + column;
    const float *values = layer->values.first + column;
    float *mixed = layer->mixed.first + column;
    struct rows attention = layer->attention;
    attention.first += heads.first * floats;
    float *scores = row(attention, part->first);
    for (uint32_t head = 0; head < heads.count; ++head) {
        causal_nt(attention.first + head * floats, queries, keys, part->first, last, &model->products.forward.scores);
        queries += head_size;
        keys += head_size;
    }
    if (part->count == 1 && heads.count > 0) { // a row in each head: all at once
        const struct softmax_sizes by_heads = {.stride = floats};
        softmax(scores, heads.count, last, &by_heads, model->score_scale, 1.0f);
    }
    for (uint32_t head = 0; head < heads.count; ++head) {
        if (part->count > 1) {
            softmax(scores, part->count, part->first + 1, &model->products.attention, model->score_scale, 1.0f);
            scores += floats;
        }
        causal_nn(mixed, attention.first + head * floats, values, part->first, last, &model->products.forward.mix);
        mixed += head_size;
        values += head_size;
    }
}

void forward(const struct part *part, const struct model *model, const struct weights *weights, const uint8_t *tokens) {
    const uint32_t first = part->first;
    const uint32_t count = part->count;
    float *residual = row(model->residual, first);

    if (count == 0) { // a member without a position is only waited for
        for (uint32_t l = 0; l < model->shape.n_layer; ++l) {
            team_barrier(part->worker);
        }
        return;
    }
    if (part->has_rows) {
        embed(model, weights, tokens, first, count);
    }
    for (uint32_t l = 0; l < model->shape.n_layer; ++l) {
        const struct layer_weights w = layer_weights(&model->shape, weights, l);
        const struct layer_activations layer = layer_activations(model, l);
        float *attention_input = row(layer.attention_input, first);
        float *mlp_input = row(layer.mlp_input, first);
        float *hidden = row(layer.hidden, first);

        if (part->has_rows) {
            rmsnorm(attention_input, layer.attention_scale + first, residual, count, &model->products.norm);
        }
        meet(part);
        project(part, model, &layer, w.qkv);
        team_barrier(part->worker); // attention reads keys and values of all earlier positions
        attend(part, model, &layer);
        meet(part);
        multiply(part, ONTO, residual, row(layer.mixed, first), w.output, &model->products.forward.output);
        meet(part);

        if (part->has_rows) {
            rmsnorm(mlp_input, layer.mlp_scale + first, residual, count, &model->products.norm);
        }
        meet(part);
        multiply(part, PLAIN, hidden, mlp_input, w.fc1, &model->products.forward.fc1);
        const struct share units = outputs_of(part, N_HIDDEN(&model->shape));
        relu(hidden + units.first, active_of(model, &layer, part->number) + units.first, count, units.count);
        meet(part);
        multiply(part, SPARSE_ONTO, residual, hidden, w.fc2, &model->products.forward.fc2);
        meet(part);
    }
    multiply(part, PLAIN, row(model->logits, first), residual, weights->lm_head, &model->products.forward.lm_head);
}

void cross_entropy(const struct part *part, const struct model *model, const uint8_t *targets, uint32_t count,
                   float gradient_scale) {
    const float weight = reciprocal32((float)count) * gradient_scale;
    const float to_probability = reciprocal32(weight);
    if (part->count > 0) {
        softmax(row(model->logits, part->first), part->count, model->shape.vocab_size, &model->products.logits, 1.0f, weight);
    }
    for (uint32_t t = part->first; t < part->first + part->count; ++t) {
        float *logits = row(model->logits, t);
        model->log_probabilities[t] = log32(logits[targets[t]] * to_probability);
        logits[targets[t]] -= weight;
    }
}
