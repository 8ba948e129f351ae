// SPDX-License-Identifier: MIT
#include <stddef.h>

#include "core/model.h"
#include "kernels/kernels.h"

// What every step of the pass needs.
struct pass {
    const struct model *model;
    struct weights weights;
    const struct parameters *parameters;
    const struct adam_step *step;
    uint32_t count; // positions
};

// Adam on length weights from w on, whose gradient is g.
static void update(const struct pass *pass, const float *w, const float *g, uint32_t length) {
    const struct parameters *parameters = pass->parameters;
    const uint32_t offset = (uint32_t)(w - parameters->values);
    adam_update(parameters->values + offset, parameters->first_moments + offset, parameters->second_moments + offset, g,
                length, pass->step);
}

// Which side of a weight matrix ReLU stands on, so that most of that side is zero; active says what is not.
enum relu_side { NO_RELU, RELU_BEHIND, RELU_BEFORE };

// Gradient and Adam step of w[outputs][inputs] from dy[count][outputs] and x[count][inputs], rows_at_once rows at a time.
// gradient: scratch for these.
static void update_matrix(const struct pass *pass, enum relu_side relu_side, const uint32_t *active, float *gradient,
                          uint32_t rows_at_once, const float *w, const struct rows *dy, const struct rows *x) {
    const uint32_t outputs = dy->width;
    const uint32_t inputs = x->width;
    const uint32_t count = pass->count;
    const struct matmul_sizes sizes = {
        .columns = inputs, .depth = count, .y_stride = inputs, .x_stride = outputs, .w_stride = inputs};
    for (uint32_t first = 0; first < outputs; first += rows_at_once) {
        const uint32_t rows = outputs - first < rows_at_once ? outputs - first : rows_at_once;
        switch (relu_side) {
        case NO_RELU:
            matmul_tn(gradient, dy->first + first, x->first, rows, count, &sizes);
            break;
        case RELU_BEHIND:
            matmul_tn_sparse(gradient, dy->first + first, x->first, active + first, rows, &sizes);
            break;
        case RELU_BEFORE:
            matmul_tn_sparse_w(gradient, dy->first + first, x->first, active, rows, &sizes);
            break;
        }
        update(pass, w, gradient, rows * inputs);
        w += rows * inputs;
    }
}

static void attend_backward(const struct model *model, const struct layer_activations *layer, uint32_t count) {
    const uint32_t width = model->shape.n_embd;
    const uint32_t head_size = model->products.forward.mix.columns;
    const struct rows scores = model->score_gradients;
    struct rows attention = layer->attention;
    for (uint32_t column = 0; column < width; column += head_size) {
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

static void layer_backward(const struct pass *pass, uint32_t l) {
    const struct model *model = pass->model;
    const uint32_t count = pass->count;
    const struct layer_weights w = layer_weights(&model->shape, &pass->weights, l);
    const struct layer_activations layer = layer_activations(model, l);
    const struct rows *residual = &model->residual_gradient;
    const struct rows *branch = &model->branch_gradient;
    const struct rows *hidden = &model->hidden_gradient;
    const struct rows *mixed = &model->mixed_gradient;
    const struct rows *qkv = &model->qkv_gradient;
    const struct products *products = &model->products;

    matmul_nn_masked(hidden->first, residual->first, w.fc2, layer.active, count, &products->backward.fc2);
    update_matrix(pass, RELU_BEFORE, layer.active, model->fc2_rows, FC2_ROWS, w.fc2, residual, &layer.hidden);
    matmul_nn_sparse(branch->first, hidden->first, w.fc1, count, &products->backward.fc1);
    update_matrix(pass, RELU_BEHIND, layer.active, model->few_rows, FEW_ROWS, w.fc1, hidden, &layer.mlp_input);
    rmsnorm_backward(residual->first, branch->first, layer.mlp_input.first, layer.mlp_scale, count, &products->norm);

    matmul_nn(mixed->first, residual->first, w.output, count, &products->backward.output);
    update_matrix(pass, NO_RELU, NULL, model->gradient_rows, GRADIENT_ROWS, w.output, residual, &layer.mixed);
    attend_backward(model, &layer, count);
    matmul_nn(branch->first, qkv->first, w.qkv, count, &products->backward.qkv);
    update_matrix(pass, NO_RELU, NULL, model->few_rows, FEW_ROWS, w.qkv, qkv, &layer.attention_input);
    rmsnorm_backward(residual->first, branch->first, layer.attention_input.first, layer.attention_scale, count,
                     &products->norm);
}

// Embeddings: a token's row collects the gradient of every position it stands at. Rows of the other tokens and positions
// have gradient zero, and their moments decay.
static void embedding_backward(const struct pass *pass, const uint8_t *tokens) {
    const struct model *model = pass->model;
    const uint32_t width = model->shape.n_embd;
    const uint32_t vocab = model->shape.vocab_size;
    const struct rows branch = model->branch_gradient;
    vector_zero(branch.first, model->shape.block_size * width);
    embed(model, &pass->weights, tokens, 0, pass->count); // again: cheaper than to keep it
    rmsnorm_backward(branch.first, model->residual_gradient.first, model->residual.first, model->embedding_scale, pass->count,
                     &model->products.norm);
    update(pass, pass->weights.position_embedding, branch.first, model->shape.block_size * width);

    const float *w = pass->weights.token_embedding;
    for (uint32_t first = 0; first < vocab; first += GRADIENT_ROWS) {
        const uint32_t rows = vocab - first < GRADIENT_ROWS ? vocab - first : GRADIENT_ROWS;
        float *gradient = model->gradient_rows;
        vector_zero(gradient, rows * width);
        for (uint32_t t = 0; t < pass->count; ++t) {
            const uint32_t token = (uint32_t)tokens[t] - first;
            if (token < rows) {
                float *sum = gradient + token * width;
                vector_add(sum, sum, row(branch, t), width);
            }
        }
        update(pass, w, gradient, rows * width);
        w += rows * width;
    }
}

void backward(const struct model *model, const struct parameters *parameters, const uint8_t *tokens, uint32_t count,
              const struct adam_step *step) {
    const struct pass pass = {model, weights_at(&model->shape, parameters->values), parameters, step, count};
    matmul_nn(model->residual_gradient.first, model->logits.first, pass.weights.lm_head, count,
              &model->products.backward.lm_head);
    update_matrix(&pass, NO_RELU, NULL, model->lm_head_rows, GRADIENT_ROWS, pass.weights.lm_head, &model->logits, &model->residual);
    for (uint32_t l = model->shape.n_layer; l-- > 0;) {
        layer_backward(&pass, l);
    }
    embedding_backward(&pass, tokens);
}
