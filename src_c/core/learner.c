// SPDX-License-Identifier: MIT
#include "core/learner.h"

#include <stddef.h>

#include "core/crc32.h"
#include "kernels/kernels.h"
#include "math/math32.h"

#define INITIAL_DEVIATION 0.08f
#define STEPS_BETWEEN_LOOKS 16 // at the second moments, while some are small

static void shuffle_documents(struct learner *learner, uint16_t *shuffle) {
    const uint32_t documents = learner->dataset.documents;
    for (uint32_t i = 0; i < documents; ++i) {
        shuffle[i] = (uint16_t)i;
    }
    random_shuffle(&learner->random, shuffle, documents);
    for (uint32_t i = learner->order_length; i-- > 0;) {
        learner->order[i] = shuffle[i]; // from the last on: they may share memory, and the shuffle begins its bank
    }
}

static void draw_weights(struct learner *learner) {
    const struct parameters *parameters = &learner->parameters;
    for (uint32_t i = 0; i < learner->model.parameters; ++i) {
        parameters->values[i] = random_gauss(&learner->random, INITIAL_DEVIATION);
        parameters->first_moments[i] = 0.0f;
        parameters->second_moments[i] = 0.0f;
    }
}

static void place(struct learner *learner, const struct plan *plan, const struct plan_request *request,
                  const struct banks *banks, const struct dataset *dataset, struct team *team) {
    learner->team = team;
    model_place(&learner->model, request, plan, banks);
    learner->parameters = (struct parameters){
        .values = array_at(plan, banks, ARRAY_weights),
        .first_moments = array_at(plan, banks, ARRAY_first_moments),
        .second_moments = array_at(plan, banks, ARRAY_second_moments),
    };
    learner->order = array_at(plan, banks, ARRAY_order);
    learner->order_length = plan_order_length(request);
    learner->dataset = *dataset;
    learner->steps = request->steps;
    learner->opening_scale = 0.0f;
}

void learner_place(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                   const struct dataset *dataset, struct team *team) {
    struct plan plan;
    plan_make(&plan, request, banks);
    place(learner, &plan, request, banks, dataset, team);
}

void learner_begin(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                   const struct dataset *dataset, const struct recipe *recipe, struct team *team) {
    struct plan plan;
    plan_make(&plan, request, banks);
    place(learner, &plan, request, banks, dataset, team);
    learner->learning_rate = recipe->learning_rate;
    learner->schedule = adam_begin();
    learner->step = 0;
    learner->document = 0;
    random_seed(&learner->random, recipe->seed, recipe->seed_words);
    shuffle_documents(learner, array_at(&plan, banks, ARRAY_shuffle));
    draw_weights(learner);
}

void learner_generate(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                      const struct dataset *dataset, const float *weights, struct team *team) {
    learner_place(learner, request, banks, dataset, team);
    learner->parameters = (struct parameters){.values = (float *)(uintptr_t)weights}; // read, never written
    learner->order_length = 0;
    learner->step = learner->steps;
}

// Positions of a document: BOS and its characters, the last of which predicts the end, at most block_size.
static uint32_t positions_of(const struct model *model, uint32_t length) {
    return length < model->shape.block_size ? length + 1 : model->shape.block_size;
}

// Puts a document between two BOS, at the tokens of the model. Returns its positions.
static uint32_t enter_document(const struct model *model, const uint8_t *document, uint32_t length) {
    const uint32_t count = positions_of(model, length);
    const uint8_t bos = (uint8_t)BOS(&model->shape);
    model->tokens[0] = bos;
    for (uint32_t t = 1; t <= count; ++t) {
        model->tokens[t] = t <= length ? document[t - 1] : bos;
    }
    return count;
}

// A job: both passes over the document in the model's tokens (LEARNER_PASS), a forward pass over it and what follows each of its
// positions (LEARNER_READ), or the logits of one more position (LEARNER_PREDICT).
struct task {
    const struct parameters *parameters;
    const struct adam_step *step; // LEARNER_PASS; known by the first barrier
    uint32_t count;               // positions; LEARNER_PREDICT: the position
    uint8_t token;                // LEARNER_PREDICT
};

static float pass(const struct learner *learner, const struct task *task, const struct worker *worker) {
    const struct model *model = &learner->model;
    const struct weights weights = weights_at(&model->shape, task->parameters->values);
    const struct part part = part_of_positions(worker, task->count);
    forward(&part, model, &weights, model->tokens + part.first);
    cross_entropy(&part, model, model->tokens + 1, task->count, task->step->gradient_scale);
    return backward(&part, model, task->parameters, model->tokens, task->count, task->step);
}

static void read(const struct learner *learner, const struct task *task, const struct worker *worker) {
    const struct model *model = &learner->model;
    const struct weights weights = weights_at(&model->shape, task->parameters->values);
    const struct part part = part_of_positions(worker, task->count);
    forward(&part, model, &weights, model->tokens + part.first);
    if (part.count > 0) {
        softmax(row(model->logits, part.first), part.count, model->shape.vocab_size, &model->products.logits, 1.0f, 1.0f);
    }
    team_barrier(worker);
}

// In a function of its own, so that a profile can tell it from training on any core.
__attribute__((noinline)) static void predict_logits(const struct learner *learner, const struct task *task,
                                                     const struct worker *worker) {
    const struct model *model = &learner->model;
    const struct weights weights = weights_at(&model->shape, task->parameters->values);
    const struct part part = part_of_outputs(worker, &model->shape, task->count);
    forward(&part, model, &weights, &task->token);
    team_barrier(worker);
}

void learner_help(const struct learner *learner, const struct worker *worker) {
    const struct task *task = worker->team->argument;
    switch ((enum learner_job)worker->team->job) {
    case LEARNER_PASS:
        pass(learner, task, worker);
        break;
    case LEARNER_READ:
        read(learner, task, worker);
        break;
    case LEARNER_PREDICT:
        predict_logits(learner, task, worker);
        break;
    case LEARNER_JOBS:
        break;
    }
}

static struct worker first_worker(const struct learner *learner) { return (struct worker){learner->team, 0}; }

float learner_pass(struct learner *learner, const uint8_t *document, uint32_t length, const struct parameters *parameters,
                   const struct adam_step *step) {
    const struct worker worker = first_worker(learner);
    struct task task = {
        .parameters = parameters, .step = step, .count = enter_document(&learner->model, document, length)};
    learner->opening_scale = 0.0f;
    team_post(learner->team, LEARNER_PASS, &task);
    return pass(learner, &task, &worker);
}

// One step of Adam on a document, number `step` of `steps` by its rate.
static float take_step(struct learner *learner, const uint8_t *document, uint32_t length, uint32_t step, uint32_t steps) {
    const struct parameters *parameters = &learner->parameters;
    const struct worker worker = first_worker(learner);
    struct adam_step adam;
    struct task task = {
        .parameters = parameters, .step = &adam, .count = enter_document(&learner->model, document, length)};
    learner->opening_scale = 0.0f;
    team_post(learner->team, LEARNER_PASS, &task);
    adam = adam_next(&learner->schedule, step, steps, learner->learning_rate); // while the others have begun
    const float loss = pass(learner, &task, &worker);
    if (!adam.all_large && learner->step % STEPS_BETWEEN_LOOKS == 0) {
        const float *matrices = weights_at(&learner->model.shape, parameters->second_moments).lm_head;
        const float *end = parameters->second_moments + learner->model.parameters;
        adam_measure(&learner->schedule, &adam, matrices, (uint32_t)(end - matrices));
    }
    adam_rescale(&learner->schedule, parameters->first_moments, parameters->second_moments, learner->model.parameters);
    return loss;
}

float learner_step(struct learner *learner) {
    const uint32_t index = learner->order[learner->document];
    const uint32_t begin = learner->dataset.offsets[index];
    const uint32_t length = learner->dataset.offsets[index + 1] - begin;
    learner->document = learner->document + 1 < learner->order_length ? learner->document + 1 : 0;
    const float loss = take_step(learner, learner->dataset.tokens + begin, length, learner->step, learner->steps);
    ++learner->step;
    return loss;
}

float learner_teach(struct learner *learner, const uint8_t *document, uint32_t length) {
    return take_step(learner, document, length, 0, 1);
}

// Probabilities of what follows a token at this position. Every document opens with BOS, so position 0 keeps its own, and
// its keys and values, for the documents to come.
static const float *predict(struct learner *learner, uint8_t token, uint32_t position, float scale) {
    const struct model *model = &learner->model;
    float *probabilities = row(model->logits, position);
    if (position > 0 || learner->opening_scale != scale) {
        const struct worker worker = first_worker(learner);
        struct task task = {.parameters = &learner->parameters, .count = position, .token = token};
        team_post(learner->team, LEARNER_PREDICT, &task);
        predict_logits(learner, &task, &worker);
        softmax(probabilities, 1, model->shape.vocab_size, &model->products.logits, scale, 1.0f);
    }
    if (position == 0) {
        learner->opening_scale = scale;
    }
    return probabilities;
}

bool learner_draw(struct learner *learner, uint8_t *tokens, uint32_t length, uint32_t given, float scale,
                  struct xoshiro *aside) {
    const struct model_shape *shape = &learner->model.shape;
    const uint8_t bos = (uint8_t)BOS(shape);
    if (length == shape->block_size) {
        return false;
    }
    const float *probabilities = predict(learner, length > 0 ? tokens[length - 1] : bos, length, scale);
    if (length < given) {
        return true;
    }
    const uint32_t token = aside == NULL ? random_choice(&learner->random, probabilities, shape->vocab_size)
                                         : choice_at(xoshiro_uniform(aside), probabilities, shape->vocab_size);
    tokens[length] = (uint8_t)token;
    return token != bos;
}

uint32_t learner_complete(struct learner *learner, uint8_t *tokens, uint32_t given, float temperature,
                          struct xoshiro *aside) {
    const float scale = reciprocal32(temperature);
    uint32_t length = 0;
    while (learner_draw(learner, tokens, length, given, scale, aside)) {
        ++length;
    }
    return length;
}

const float *learner_next(struct learner *learner, const uint8_t *tokens, uint32_t given, float temperature) {
    const float scale = reciprocal32(temperature);
    uint8_t token = (uint8_t)BOS(&learner->model.shape);
    for (uint32_t position = 0; position < given; ++position) {
        predict(learner, token, position, scale);
        token = tokens[position];
    }
    return predict(learner, token, given, scale);
}

uint32_t learner_read(struct learner *learner, const uint8_t *document, uint32_t length) {
    const struct worker worker = first_worker(learner);
    struct task task = {
        .parameters = &learner->parameters, .count = enter_document(&learner->model, document, length)};
    learner->opening_scale = 0.0f;
    if (!learner->model.generates) {
        team_post(learner->team, LEARNER_READ, &task);
        read(learner, &task, &worker);
    }
    return task.count;
}

void learner_read_position(struct learner *learner, uint32_t position) {
    if (learner->model.generates) {
        learner->opening_scale = 0.0f; // what position 0 holds may be of another temperature, and its attention another's
        predict(learner, learner->model.tokens[position], position, 1.0f);
    }
}

const float *learner_follows(const struct learner *learner, uint32_t position) { return row(learner->model.logits, position); }

float learner_loss_at(const struct learner *learner, uint32_t position) {
    const struct model *model = &learner->model;
    return -log32(row(model->logits, position)[model->tokens[position + 1]]);
}

const float *learner_attention(const struct learner *learner, uint32_t layer, uint32_t head, uint32_t position) {
    const struct model *model = &learner->model;
    return row(layer_activations(model, layer).attention, position) + head * head_floats(model);
}

uint32_t learner_checksum(const struct learner *learner) {
    return crc32(learner->parameters.values, learner->model.parameters * (uint32_t)sizeof(float));
}
