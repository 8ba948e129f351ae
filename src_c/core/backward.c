// SPDX-License-Identifier: MIT
#include "core/model.h"
#include "core/shapes.h"
#include "kernels/kernels.h"

static const struct matmul_shape lm_head_shape = INPUT_GRADIENT_SHAPE(N_EMBD, VOCAB_SIZE);
static const struct matmul_shape contract_shape = INPUT_GRADIENT_SHAPE(N_HIDDEN, N_EMBD);
static const struct matmul_shape expand_shape = INPUT_GRADIENT_SHAPE(N_EMBD, N_HIDDEN);
static const struct matmul_shape output_shape = INPUT_GRADIENT_SHAPE(N_EMBD, N_EMBD);
static const struct matmul_shape qkv_shape = INPUT_GRADIENT_SHAPE(N_EMBD, N_QKV);

static const struct matmul_shape score_shape = {
    .depth = HEAD_SIZE, .y_stride = BLOCK_SIZE, .x_stride = N_EMBD, .w_stride = N_QKV};
static const struct matmul_shape value_shape = {
    .columns = HEAD_SIZE, .y_stride = N_QKV, .x_stride = BLOCK_SIZE, .w_stride = N_EMBD};
static const struct matmul_shape query_shape = {
    .columns = HEAD_SIZE, .y_stride = N_QKV, .x_stride = BLOCK_SIZE, .w_stride = N_QKV};

// Adam on length weights from w on, whose gradient is g. The moments lie where the weights do, one struct further each.
static void update(float *w, const float *g, uint32_t length, const struct adam_step *step) {
    struct training_memory *memory = &arena.training;
    const uint32_t offset = (uint32_t)(w - (float *)&memory->weights);
    adam_update(w, (float *)&memory->first_moment + offset, (float *)&memory->second_moment + offset, g, length, step);
}

enum density { DENSE, SPARSE }; // SPARSE: mostly zeros, for it went through ReLU

// Gradient and Adam step of w[outputs][inputs] from dy[count][outputs] and x[count][inputs], a few rows at a time.
// gradient: scratch of GRADIENT_ROW_FLOATS.
static void update_matrix(enum density dy_density, float *gradient, float *w, const float *dy, const float *x,
                          uint32_t outputs, uint32_t inputs, uint32_t count, const struct adam_step *step) {
    const struct matmul_shape shape = {.columns = inputs, .y_stride = inputs, .x_stride = outputs, .w_stride = inputs};
    const uint32_t rows_at_once = inputs == N_EMBD ? GRADIENT_ROW_FLOATS / N_EMBD : GRADIENT_ROW_FLOATS / N_HIDDEN;
    for (uint32_t row = 0; row < outputs; row += rows_at_once) {
        const uint32_t rows = outputs - row < rows_at_once ? outputs - row : rows_at_once;
        if (dy_density == SPARSE) {
            matmul_tn_sparse(gradient, dy + row, x, rows, count, &shape);
        } else {
            matmul_tn(gradient, dy + row, x, rows, count, &shape);
        }
        update(w + row * inputs, gradient, rows * inputs, step);
    }
}

static void attend_backward(const struct layer_activations *layer, uint32_t count) {
    struct activations *activations = &arena.training.activations;
    struct gradients *gradients = &arena.training.gradients;
    float *scores = activations->score_gradients[0];
    for (uint32_t head = 0; head < N_HEAD; ++head) {
        const uint32_t column = head * HEAD_SIZE;
        const float *queries = &layer->qkv[0][column];
        const float *keys = queries + N_EMBD;
        const float *values = keys + N_EMBD;
        const float *attention = layer->attention[head][0];
        const float *mixed = &gradients->attention.mixed[0][column];
        float *d_queries = &gradients->attention.qkv[0][column];
        float *d_keys = d_queries + N_EMBD;
        float *d_values = d_keys + N_EMBD;

        causal_tn(d_values, attention, mixed, count, &value_shape);
        causal_nt(scores, mixed, values, 0, count, &score_shape);
        for (uint32_t t = 0; t < count; ++t) {
            softmax_backward(activations->score_gradients[t], layer->attention[head][t], t + 1, SCORE_SCALE);
        }
        causal_nn(d_queries, scores, keys, 0, count, &query_shape);
        causal_tn(d_keys, scores, queries, count, &query_shape);
    }
}

static void layer_backward(uint32_t l, uint32_t count, const struct adam_step *step) {
    struct layer_weights *w = &arena.training.weights.layer[l];
    struct activations *activations = &arena.training.activations;
    const struct layer_activations *layer = &activations->layer[l];
    struct gradients *gradients = &arena.training.gradients;
    float *rows = activations->gradient_rows;
    float *branch = activations->branch_gradient[0];
    float *residual = gradients->residual[0];
    float *hidden = gradients->hidden[0];
    float *mixed = gradients->attention.mixed[0];
    float *qkv = gradients->attention.qkv[0];

    matmul_nn_masked(hidden, residual, w->contract[0], layer->hidden[0], count, &contract_shape);
    update_matrix(DENSE, rows, w->contract[0], residual, layer->hidden[0], N_EMBD, N_HIDDEN, count, step);
    matmul_nn_sparse(branch, hidden, w->expand[0], count, &expand_shape);
    update_matrix(SPARSE, rows, w->expand[0], hidden, layer->mlp_input[0], N_HIDDEN, N_EMBD, count, step);
    rmsnorm_backward(residual, branch, layer->mlp_input[0], layer->mlp_scale, count, &embedding_norm);

    matmul_nn(mixed, residual, w->output[0], count, &output_shape);
    update_matrix(DENSE, rows, w->output[0], residual, layer->mixed[0], N_EMBD, N_EMBD, count, step);
    attend_backward(layer, count);
    matmul_nn(branch, qkv, w->qkv[0], count, &qkv_shape);
    update_matrix(DENSE, rows, w->qkv[0], qkv, layer->attention_input[0], N_QKV, N_EMBD, count, step);
    rmsnorm_backward(residual, branch, layer->attention_input[0], layer->attention_scale, count, &embedding_norm);
}

// Embeddings: a token's row collects the gradient of every position it stands at. Rows of the other tokens and positions
// have gradient zero, and their moments decay.
static void embedding_backward(const uint8_t *tokens, uint32_t count, const struct adam_step *step) {
    struct weights *weights = &arena.training.weights;
    struct activations *activations = &arena.training.activations;
    float *branch = activations->branch_gradient[0];
    vector_zero(branch, BLOCK_SIZE * N_EMBD);
    embed(tokens, 0, count); // again: cheaper than to keep it
    rmsnorm_backward(branch, arena.training.gradients.residual[0], activations->residual[0],
                     activations->embedding_scale, count, &embedding_norm);
    update(weights->position_embedding[0], branch, BLOCK_SIZE * N_EMBD, step);

    const uint32_t rows_at_once = GRADIENT_ROW_FLOATS / N_EMBD;
    for (uint32_t token = 0; token < VOCAB_SIZE; token += rows_at_once) {
        const uint32_t rows = VOCAB_SIZE - token < rows_at_once ? VOCAB_SIZE - token : rows_at_once;
        float *gradient = activations->gradient_rows;
        vector_zero(gradient, rows * N_EMBD);
        for (uint32_t t = 0; t < count; ++t) {
            const uint32_t row = (uint32_t)tokens[t] - token;
            if (row < rows) {
                float *sum = gradient + row * N_EMBD;
                vector_add(sum, sum, activations->branch_gradient[t], N_EMBD);
            }
        }
        update(weights->token_embedding[token], gradient, rows * N_EMBD, step);
    }
}

void backward(const uint8_t *tokens, uint32_t count, const struct adam_step *step) {
    struct weights *weights = &arena.training.weights;
    const struct activations *activations = &arena.training.activations;
    struct gradients *gradients = &arena.training.gradients;
    const float *logits = activations->logits[0];
    matmul_nn(gradients->residual[0], logits, weights->lm_head[0], count, &lm_head_shape);
    update_matrix(DENSE, gradients->gradient_rows, weights->lm_head[0], logits, activations->residual[0], VOCAB_SIZE,
                  N_EMBD, count, step);
    for (uint32_t l = N_LAYER; l-- > 0;) {
        layer_backward(l, count, step);
    }
    embedding_backward(tokens, count, step);
}
