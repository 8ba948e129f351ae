// SPDX-License-Identifier: MIT
#include "core/model.h"
#include "core/shapes.h"
#include "kernels/kernels.h"
#include "math/math32.h"

static const struct matmul_shape qkv_shape = FORWARD_SHAPE(N_EMBD, N_QKV);
static const struct matmul_shape output_shape = FORWARD_SHAPE(N_EMBD, N_EMBD);
static const struct matmul_shape expand_shape = FORWARD_SHAPE(N_EMBD, N_HIDDEN);
static const struct matmul_shape contract_shape = FORWARD_SHAPE(N_HIDDEN, N_EMBD);
static const struct matmul_shape lm_head_shape = FORWARD_SHAPE(N_EMBD, VOCAB_SIZE);

static const struct matmul_shape score_shape = {
    .depth = HEAD_SIZE, .y_stride = BLOCK_SIZE, .x_stride = N_QKV, .w_stride = N_QKV};
static const struct matmul_shape mix_shape = {
    .columns = HEAD_SIZE, .y_stride = N_EMBD, .x_stride = BLOCK_SIZE, .w_stride = N_QKV};

void embed(const uint8_t *tokens, uint32_t first, uint32_t count) {
    const struct weights *weights = &arena.training.weights;
    struct activations *activations = &arena.training.activations;
    for (uint32_t i = 0; i < count; ++i) {
        vector_add(activations->residual[first + i], weights->token_embedding[tokens[i]],
                   weights->position_embedding[first + i], N_EMBD);
    }
    float *residual = activations->residual[first];
    rmsnorm(residual, &activations->embedding_scale[first], residual, count, &embedding_norm);
}

static void attend(struct layer_activations *layer, uint32_t first, uint32_t count) {
    const uint32_t last = first + count;
    for (uint32_t head = 0; head < N_HEAD; ++head) {
        const float *queries = &layer->qkv[0][head * HEAD_SIZE];
        const float *keys = queries + N_EMBD;
        const float *values = keys + N_EMBD;
        float *scores = layer->attention[head][0];
        causal_nt(scores, queries, keys, first, last, &score_shape);
        for (uint32_t t = first; t < last; ++t) {
            softmax(layer->attention[head][t], t + 1, SCORE_SCALE, 1.0f);
        }
        causal_nn(&layer->mixed[0][head * HEAD_SIZE], scores, values, first, last, &mix_shape);
    }
}

void forward(const uint8_t *tokens, uint32_t first, uint32_t count) {
    const struct weights *weights = &arena.training.weights;
    struct activations *activations = &arena.training.activations;
    float *residual = activations->residual[first];

    embed(tokens, first, count);
    for (uint32_t l = 0; l < N_LAYER; ++l) {
        const struct layer_weights *w = &weights->layer[l];
        struct layer_activations *layer = &activations->layer[l];

        rmsnorm(layer->attention_input[first], &layer->attention_scale[first], residual, count, &embedding_norm);
        matmul_nt(layer->qkv[first], layer->attention_input[first], w->qkv[0], count, &qkv_shape);
        attend(layer, first, count);
        matmul_nt_add(residual, layer->mixed[first], w->output[0], count, &output_shape);

        rmsnorm(layer->mlp_input[first], &layer->mlp_scale[first], residual, count, &embedding_norm);
        matmul_nt(layer->hidden[first], layer->mlp_input[first], w->expand[0], count, &expand_shape);
        relu(layer->hidden[first], count * N_HIDDEN);
        matmul_nt_add_sparse(residual, layer->hidden[first], w->contract[0], count, &contract_shape);
    }
    matmul_nt(activations->logits[first], residual, weights->lm_head[0], count, &lm_head_shape);
}

float cross_entropy(const uint8_t *targets, uint32_t count, float gradient_scale) {
    const float share = reciprocal32((float)count);
    const float weight = share * gradient_scale;
    const float to_probability = reciprocal32(weight);
    float total = 0.0f;
    for (uint32_t t = 0; t < count; ++t) {
        float *row = arena.training.activations.logits[t];
        softmax(row, VOCAB_SIZE, 1.0f, weight);
        total -= log32(row[targets[t]] * to_probability);
        row[targets[t]] -= weight;
    }
    return total * share;
}
