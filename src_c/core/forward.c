// SPDX-License-Identifier: MIT
#include "core/model.h"
#include "kernels/kernels.h"
#include "math/math32.h"

void embed(const struct model *model, const struct weights *weights, const uint8_t *tokens, uint32_t first, uint32_t count) {
    const uint32_t width = model->shape.n_embd;
    float *residual = row(model->residual, first);
    for (uint32_t i = 0; i < count; ++i) {
        vector_add(residual + i * width, weights->token_embedding + tokens[i] * width,
                   weights->position_embedding + (first + i) * width, width);
    }
    rmsnorm(residual, model->embedding_scale + first, residual, count, &model->products.norm);
}

static void attend(const struct model *model, const struct layer_activations *layer, uint32_t first, uint32_t count) {
    const uint32_t width = model->shape.n_embd;
    const uint32_t head_size = model->products.forward.mix.columns;
    const uint32_t last = first + count;
    struct rows attention = layer->attention;
    for (uint32_t column = 0; column < width; column += head_size) {
        const float *queries = layer->qkv.first + column;
        const float *keys = queries + width;
        const float *values = keys + width;
        causal_nt(attention.first, queries, keys, first, last, &model->products.forward.scores);
        for (uint32_t t = first; t < last; ++t) {
            softmax(row(attention, t), t + 1, model->score_scale, 1.0f);
        }
        causal_nn(layer->mixed.first + column, attention.first, values, first, last, &model->products.forward.mix);
        attention.first = row(attention, model->shape.block_size);
    }
}

void forward(const struct model *model, const struct weights *weights, const uint8_t *tokens, uint32_t first, uint32_t count) {
    float *residual = row(model->residual, first);

    embed(model, weights, tokens, first, count);
    for (uint32_t l = 0; l < model->shape.n_layer; ++l) {
        const struct layer_weights w = layer_weights(&model->shape, weights, l);
        const struct layer_activations layer = layer_activations(model, l);
        float *attention_input = row(layer.attention_input, first);
        float *mlp_input = row(layer.mlp_input, first);
        float *hidden = row(layer.hidden, first);

        rmsnorm(attention_input, layer.attention_scale + first, residual, count, &model->products.norm);
        matmul_nt(row(layer.qkv, first), attention_input, w.qkv, count, &model->products.forward.qkv);
        attend(model, &layer, first, count);
        matmul_nt_add(residual, row(layer.mixed, first), w.output, count, &model->products.forward.output);

        rmsnorm(mlp_input, layer.mlp_scale + first, residual, count, &model->products.norm);
        matmul_nt(hidden, mlp_input, w.fc1, count, &model->products.forward.fc1);
        relu(hidden, layer.active, count, layer.hidden.width);
        matmul_nt_add_sparse(residual, hidden, w.fc2, count, &model->products.forward.fc2);
    }
    matmul_nt(row(model->logits, first), residual, weights->lm_head, count, &model->products.forward.lm_head);
}

float cross_entropy(const struct model *model, const uint8_t *targets, uint32_t count, float gradient_scale) {
    const float share = reciprocal32((float)count);
    const float weight = share * gradient_scale;
    const float to_probability = reciprocal32(weight);
    float total = 0.0f;
    for (uint32_t t = 0; t < count; ++t) {
        float *logits = row(model->logits, t);
        softmax(logits, model->shape.vocab_size, 1.0f, weight);
        total -= log32(logits[targets[t]] * to_probability);
        logits[targets[t]] -= weight;
    }
    return total * share;
}
