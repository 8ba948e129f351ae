// SPDX-License-Identifier: MIT
#include "app/check/checks.h"

#include "app/program.h"
#include "core/xoshiro.h"
#include "math/math32.h"
#include "text/print.h"

enum { EMBEDDINGS = 3, OF_A_LAYER = 6, SAMPLES = 4, DOCUMENTS = 16 };

static struct learner *const learner = &program.learner;

static float magnitude(float x) { return x < 0.0f ? -x : x; }

uint32_t tensor_count(void) {
    return program.has_model ? EMBEDDINGS + OF_A_LAYER * learner->model.shape.n_layer : 0;
}

void print_tensor_name(uint32_t tensor) {
    static const char *const embeddings[EMBEDDINGS] = {"wte", "wpe", "lm_head"};
    static const char *const layers[OF_A_LAYER] = {"attn_wq", "attn_wk", "attn_wv", "attn_wo", "mlp_fc1", "mlp_fc2"};
    if (tensor < EMBEDDINGS) {
        print_text(embeddings[tensor]);
        return;
    }
    uint32_t layer = 0;
    for (tensor -= EMBEDDINGS; tensor >= OF_A_LAYER; tensor -= OF_A_LAYER) {
        ++layer;
    }
    print_text("layer");
    print_unsigned(layer, 1);
    print_text(".");
    print_text(layers[tensor]);
}

// Parameters of a tensor, and where it begins among all.
static uint32_t tensor_size(uint32_t tensor, uint32_t *first) {
    const struct model_shape *shape = &learner->model.shape;
    const uint32_t square = shape->n_embd * shape->n_embd;
    uint32_t size = 0;
    uint32_t of_layer = 0; // those of the same layer that came before
    *first = 0;
    for (uint32_t i = 0; i <= tensor; ++i) {
        *first += size;
        if (i < EMBEDDINGS) {
            size = (i == 1 ? shape->block_size : shape->vocab_size) * shape->n_embd;
        } else {
            size = of_layer < 4 ? square : 4 * square;
            of_layer = of_layer + 1 < OF_A_LAYER ? of_layer + 1 : 0;
        }
    }
    return size;
}

// The longest of the first documents: the more positions, the more of the model takes part.
static const uint8_t *document(uint32_t *length) {
    const struct dataset *dataset = &program.dataset;
    uint32_t best = 0;
    *length = 0;
    for (uint32_t i = 0; i < dataset->documents && i < DOCUMENTS; ++i) {
        const uint32_t own = dataset->offsets[i + 1] - dataset->offsets[i];
        if (own > *length) {
            best = i;
            *length = own;
        }
    }
    return dataset->tokens + dataset->offsets[best];
}

// The loss at one value of a weight, and which hidden units are active there: where that changes, the loss has a corner.
struct probe {
    float loss;
    uint32_t active; // FNV hash of them
};

static struct probe probe(float *weight, float value, const uint8_t *tokens, uint32_t length) {
    const float before = *weight;
    *weight = value;
    const uint32_t count = learner_read(learner, tokens, length);
    *weight = before;
    struct probe found = {.active = 2166136261u};
    for (uint32_t t = 0; t < count; ++t) {
        found.loss += learner_loss_at(learner, t);
    }
    found.loss = divide32(found.loss, (float)count);
    for (uint32_t l = 0; l < learner->model.shape.n_layer; ++l) {
        const struct rows hidden = layer_activations(&learner->model, l).hidden;
        for (uint32_t i = 0; i < count * hidden.width; ++i) {
            found.active = (found.active ^ (hidden.first[i] > 0.0f)) * 16777619u;
        }
    }
    return found;
}

// The slope of the loss from its values a step to either side, and by how much it may differ from that at the weight's value:
// a corner between them makes it the mean of two slopes.
struct slope {
    float mean;
    float corner;
    bool has_corner;
};

static struct slope slope(float *weight, float step, const uint8_t *tokens, uint32_t length) {
    const float value = *weight;
    const float above = value + step;
    const float below = value - step;
    const struct probe here = probe(weight, value, tokens, length);
    const struct probe higher = probe(weight, above, tokens, length);
    const struct probe lower = probe(weight, below, tokens, length);
    const float right = divide32(higher.loss - here.loss, above - value);
    const float left = divide32(here.loss - lower.loss, value - below);
    return (struct slope){
        .mean = divide32(higher.loss - lower.loss, above - below),
        .corner = 0.5f * magnitude(right - left),
        .has_corner = higher.active != here.active || lower.active != here.active,
    };
}

// How far float32 may put a loss from its true value. Roundings along the longest chain of sums, n of them, add up to at most
// 4 sqrt(n) times one, but once in 10,000 (Higham and Mary 2019); each is half an ulp of what the loss is made of.
static float rounding(float loss) {
    const struct model_shape *shape = &learner->model.shape;
    const uint32_t layer = 9 * shape->n_embd + HEAD_SIZE(shape) + 2 * shape->block_size;
    const uint32_t chain = 2 * shape->n_embd + shape->n_layer * layer + shape->vocab_size + shape->block_size;
    return 4.0f * sqrt32((float)chain) * 0x1p-24f * (1.0f + loss);
}

// The gradient of the document's loss by every parameter, into first moments that are not the model's.
static float differentiate(float *gradient, const uint8_t *tokens, uint32_t length) {
    const uint32_t count = learner->model.parameters;
    for (uint32_t i = 0; i < 2 * count; ++i) {
        gradient[i] = 0.0f;
    }
    const struct adam_step step = {.gradient_scale = 1.0f, .epsilon = 1.0f, .exact_below = 0x1p127f}; // of rate zero
    const struct parameters scratch = {learner->parameters.values, gradient, gradient + count};
    return learner_pass(learner, tokens, length, &scratch, &step);
}

// Whether the gradient of a weight is the slope there, as far as float32 can tell; prints it if not, or if it is to be shown.
static bool is_slope(float *weight, float gradient, float noise, bool show, const uint8_t *tokens, uint32_t length) {
    float step = 0x1p-6f; // the cube root of an ulp, near which rounding and curvature weigh alike
    struct slope wide = slope(weight, step, tokens, length);
    while (wide.has_corner && step > 0x1p-9f) {
        step *= 0.5f;
        wide = slope(weight, step, tokens, length);
    }
    const struct slope narrow = slope(weight, 0.5f * step, tokens, length);
    const float curvature = 2.0f * magnitude(wide.mean - narrow.mean); // 4/3 of it, where the third derivative is constant
    const float allowed = divide32(noise, step) + curvature + (wide.has_corner ? wide.corner : 0.0f);
    const float error = magnitude(wide.mean - gradient);
    if (show || error > allowed) {
        print_text("  gradient ");
        print_fixed(gradient, 6);
        print_text(", off by ");
        print_fixed(error, 6);
        print_text(" of ");
        print_fixed(allowed, 6);
        print_text(" that float32 allows\n");
    }
    return error <= allowed;
}

enum verdict check_gradient(uint32_t tensor) {
    const struct bank memory = scratch_memory();
    if (learner->model.generates || memory.bytes / 8 < learner->model.parameters) {
        return VERDICT_SKIPPED;
    }
    float *gradient = memory.start;
    uint32_t first;
    uint32_t length;
    const uint32_t size = tensor_size(tensor, &first);
    const uint8_t *tokens = document(&length);
    const float noise = rounding(differentiate(gradient, tokens, length));
    struct xoshiro random;
    xoshiro_seed(&random, tensor);

    uint32_t sample = first;
    for (uint32_t i = first; i < first + size; ++i) {
        sample = magnitude(gradient[i]) > magnitude(gradient[sample]) ? i : sample;
    }
    bool right = true;
    for (uint32_t i = 0; i < SAMPLES; ++i) {
        right = is_slope(&learner->parameters.values[sample], gradient[sample], noise, i == 0, tokens, length) && right;
        sample = first + (uint32_t)(xoshiro_uniform(&random) * (float)size);
    }
    return right ? VERDICT_RIGHT : VERDICT_WRONG;
}
