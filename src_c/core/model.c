// SPDX-License-Identifier: MIT
#include "core/model.h"

#include "math/math32.h"

struct weights weights_at(const struct model_shape *shape, const float *first) {
    const uint32_t width = shape->n_embd;
    struct weights weights;
    weights.token_embedding = first;
    weights.position_embedding = weights.token_embedding + shape->vocab_size * width;
    weights.lm_head = weights.position_embedding + shape->block_size * width;
    weights.layers = weights.lm_head + shape->vocab_size * width;
    return weights;
}

// y[positions][out] = x[positions][in] * w[out][in]^T
static struct matmul_sizes forward_product(uint32_t in, uint32_t out) {
    return (struct matmul_sizes){.columns = out, .depth = in, .y_stride = out, .x_stride = in, .w_stride = in};
}

// dx[positions][in] = dy[positions][out] * w[out][in]
static struct matmul_sizes backward_product(uint32_t in, uint32_t out) {
    return (struct matmul_sizes){.columns = in, .depth = out, .y_stride = in, .x_stride = out, .w_stride = in};
}

static void measure_products(struct products *products, const struct model_shape *shape, bool generates) {
    const uint32_t width = shape->n_embd;
    const uint32_t hidden = N_HIDDEN(shape);
    const uint32_t qkv = N_QKV(shape);
    const uint32_t head = HEAD_SIZE(shape);
    const uint32_t block = shape->block_size;
    products->norm = (struct rmsnorm_sizes){.width = width, .mean = reciprocal32((float)width)};
    const uint32_t attention = generates ? 0 : block; // from one position to the next
    const uint32_t queries = generates ? 0 : qkv;
    const uint32_t kept = generates ? width : qkv;
    products->attention = (struct softmax_sizes){.stride = attention, .growth = 1};
    products->logits = (struct softmax_sizes){.stride = shape->vocab_size};

    products->forward.qkv = forward_product(width, qkv);
    products->forward.output = forward_product(width, width);
    products->forward.fc1 = forward_product(width, hidden);
    products->forward.fc2 = forward_product(hidden, width);
    products->forward.lm_head = forward_product(width, shape->vocab_size);
    products->forward.scores =
        (struct matmul_sizes){.depth = head, .y_stride = attention, .x_stride = queries, .w_stride = kept};
    products->forward.mix =
        (struct matmul_sizes){.columns = head, .y_stride = generates ? 0 : width, .x_stride = attention, .w_stride = kept};

    products->backward.qkv = backward_product(width, qkv);
    products->backward.output = backward_product(width, width);
    products->backward.fc1 = backward_product(width, hidden);
    products->backward.fc2 = backward_product(hidden, width);
    products->backward.lm_head = backward_product(width, shape->vocab_size);
    products->backward.scores = (struct matmul_sizes){.depth = head, .y_stride = block, .x_stride = width, .w_stride = qkv};
    products->backward.values = (struct matmul_sizes){.columns = head, .y_stride = qkv, .x_stride = block, .w_stride = width};
    products->backward.queries = (struct matmul_sizes){.columns = head, .y_stride = qkv, .x_stride = block, .w_stride = qkv};
}

void *array_at(const struct plan *plan, const struct banks *banks, enum array_id id) {
    const struct place *place = &plan->place[id];
    return (uint8_t *)banks->bank[place->bank].start + place->offset;
}

void model_place(struct model *model, const struct plan_request *request, const struct plan *plan, const struct banks *banks) {
    const struct model_shape *shape = &request->shape;
    const bool generates = request->generates != 0;
    const uint32_t width = shape->n_embd;
    const uint32_t hidden = N_HIDDEN(shape);
    const uint32_t qkv = N_QKV(shape);
    const uint32_t block = shape->block_size;
    model->shape = *shape;
    model->generates = generates;
    model->parameters = shape_parameters(shape);
    model->score_scale = rsqrt32((float)HEAD_SIZE(shape)); // correctly rounded for all sizes of heads
    measure_products(&model->products, shape, generates);

#define ROWS(name, columns) (struct rows){array_at(plan, banks, ARRAY_##name), (columns)}
#define TRAINED_ROWS(name, columns) ROWS(name, generates ? 0 : (columns))
    model->first_layer = (struct layer_activations){
        .attention_input = TRAINED_ROWS(attention_input, width),
        .attention_scale = array_at(plan, banks, ARRAY_attention_scale),
        .qkv = TRAINED_ROWS(qkv, qkv),
        .keys = ROWS(keys, width),
        .values = ROWS(values, width),
        .attention = TRAINED_ROWS(attention, block),
        .mixed = TRAINED_ROWS(mixed, width),
        .mlp_input = TRAINED_ROWS(mlp_input, width),
        .mlp_scale = array_at(plan, banks, ARRAY_mlp_scale),
        .hidden = TRAINED_ROWS(hidden, hidden),
        .active = array_at(plan, banks, ARRAY_active),
    };
    if (!generates) {
        const struct rows beside = model->first_layer.qkv;
        model->first_layer.keys = (struct rows){beside.first + width, beside.width};
        model->first_layer.values = (struct rows){beside.first + 2 * width, beside.width};
    }
    model->residual = TRAINED_ROWS(residual, width);
    model->embedding_scale = array_at(plan, banks, ARRAY_embedding_scale);
    model->logits = ROWS(logits, shape->vocab_size);
    model->log_probabilities = array_at(plan, banks, ARRAY_log_probabilities);
    model->tokens = array_at(plan, banks, ARRAY_tokens);
    model->residual_gradient = ROWS(residual_gradient, width);
    model->branch_gradient = ROWS(branch_gradient, width);
    model->hidden_gradient = ROWS(hidden_gradient, hidden);
    model->qkv_gradient = ROWS(qkv_gradient, qkv);
    model->mixed_gradient = ROWS(mixed_gradient, width);
    model->score_gradients = ROWS(score_gradients, block);
    model->gradient_rows = array_at(plan, banks, ARRAY_gradient_rows);
    model->fc1_rows = array_at(plan, banks, ARRAY_fc1_rows);
    model->fc2_rows = array_at(plan, banks, ARRAY_fc2_rows);
    model->lm_head_rows = array_at(plan, banks, ARRAY_lm_head_rows);
#undef TRAINED_ROWS
#undef ROWS
}
