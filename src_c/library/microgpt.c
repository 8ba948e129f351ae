// SPDX-License-Identifier: MIT
#include "library/microgpt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/refusal.h"
#include "board/console.h"

#define CACHE_LINE 64u // vectors that cross its border are slow

struct microgpt {
    struct learner learner;
    struct team team; // of one: the caller's thread
    void *image;
    void *memory;
};

static _Thread_local struct {
    char text[256];
    size_t length;
} error;

// What the program would print is the error's text here.
void board_console_write(const char *text, uint32_t length) {
    const size_t room = sizeof(error.text) - 1 - error.length;
    const size_t taken = length < room ? length : room;
    memcpy(error.text + error.length, text, taken);
    error.length += taken;
    error.text[error.length] = '\0';
}

const char *microgpt_error(void) { return error.text; }

static void error_begin(void) {
    error.length = 0;
    error.text[0] = '\0';
}

static void out_of_memory(void) {
    static const char text[] = "this machine has no memory for it";
    board_console_write(text, sizeof(text) - 1);
}

const char *microgpt_array_name(uint32_t array) {
#define NAME(name, purpose, bytes, life) #name,
    static const char *const names[] = {ARRAYS(NAME)};
#undef NAME
    return array < ARRAY_COUNT ? names[array] : NULL;
}

const char *microgpt_purpose_name(uint32_t purpose) {
#define NAME(name, text) text,
    static const char *const names[] = {PURPOSES(NAME)};
#undef NAME
    return purpose < PURPOSE_COUNT ? names[purpose] : NULL;
}

uint32_t microgpt_array_purpose(uint32_t array) { return plan_purpose((enum array_id)array); }

int32_t microgpt_plan(const struct plan_request *request, const uint32_t *bank_bytes, uint32_t banks,
                      struct microgpt_plan *result) {
    error_begin();
    if (shape_check(&request->shape) != SHAPE_OK) {
        print_shape_error(&request->shape);
        return 0;
    }
    struct banks sizes = {.count = banks < MOST_BANKS ? banks : MOST_BANKS};
    for (uint32_t i = 0; i < sizes.count; ++i) {
        sizes.bank[i].bytes = bank_bytes[i];
    }
    plan_make(&result->plan, request, &sizes);
    plan_purposes(&result->plan, result->purposes);
    for (uint32_t i = 0; i < MOST_BANKS; ++i) {
        result->extents[i] = plan_extent(&result->plan, i);
    }
    for (uint32_t i = 0; i < REDUCIBLE_COUNT; ++i) {
        result->reduced[i] = plan_reduced(request, &sizes, (enum reducible)i);
    }
    if (result->plan.missing > 0) {
        print_missing_memory(request, &sizes);
    }
    return 1;
}

static int32_t begin(struct microgpt *microgpt, uint32_t image_bytes, const struct model_shape *shape,
                     const struct recipe *recipe) {
    struct dataset dataset;
    const enum dataset_error dataset_error = dataset_open(microgpt->image, image_bytes, &dataset);
    if (dataset_error != DATASET_OK) {
        print_dataset_error(dataset_error);
        return 0;
    }
    struct plan_request request = {.shape = *shape, .documents = dataset.documents, .steps = recipe->steps};
    request.shape.vocab_size = dataset.vocab_size;
    if (shape_check(&request.shape) != SHAPE_OK) {
        print_shape_error(&request.shape);
        return 0;
    }
    struct banks banks = {.count = 1, .bank = {{.bytes = UINT32_MAX}}};
    struct plan plan;
    plan_make(&plan, &request, &banks);
    banks.bank[0].bytes = (plan_extent(&plan, 0) + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
    microgpt->memory = aligned_alloc(CACHE_LINE, banks.bank[0].bytes);
    if (microgpt->memory == NULL) {
        out_of_memory();
        return 0;
    }
    memset(microgpt->memory, 0xFF, banks.bank[0].bytes); // NaN: what is read before it is written shows
    banks.bank[0].start = microgpt->memory;
    microgpt->team.members = 1;
    learner_begin(&microgpt->learner, &request, &banks, &dataset, recipe, &microgpt->team);
    return 1;
}

struct microgpt *microgpt_new(const void *image, uint32_t image_bytes, const struct model_shape *shape,
                              const struct recipe *recipe) {
    error_begin();
    struct microgpt *microgpt = calloc(1, sizeof(*microgpt));
    if (microgpt != NULL) {
        microgpt->image = malloc(image_bytes > 0 ? image_bytes : 1);
    }
    if (microgpt == NULL || microgpt->image == NULL) {
        out_of_memory();
    } else {
        memcpy(microgpt->image, image, image_bytes);
        if (begin(microgpt, image_bytes, shape, recipe)) {
            return microgpt;
        }
    }
    microgpt_delete(microgpt);
    return NULL;
}

void microgpt_delete(struct microgpt *microgpt) {
    if (microgpt != NULL) {
        free(microgpt->image);
        free(microgpt->memory);
        free(microgpt);
    }
}

uint32_t microgpt_parameters(const struct microgpt *microgpt) { return microgpt->learner.model.parameters; }

uint32_t microgpt_vocabulary(const struct microgpt *microgpt) { return microgpt->learner.model.shape.vocab_size; }

uint32_t microgpt_checksum(const struct microgpt *microgpt) { return learner_checksum(&microgpt->learner); }

uint32_t microgpt_steps_taken(const struct microgpt *microgpt) { return microgpt->learner.step; }

void microgpt_memory(struct microgpt *microgpt, struct parameters *parameters) {
    *parameters = microgpt->learner.parameters;
}

void microgpt_weights_changed(struct microgpt *microgpt) {
    microgpt->learner.opening_scale = 0.0f;
    microgpt->learner.schedule.least_second = 0.0f;
}

uint32_t microgpt_train(struct microgpt *microgpt, uint32_t steps, float *losses) {
    for (uint32_t i = 0; i < steps; ++i) {
        losses[i] = learner_step(&microgpt->learner);
        if (!isfinite(losses[i])) {
            return i + 1;
        }
    }
    return steps;
}

uint32_t microgpt_complete(struct microgpt *microgpt, uint8_t *tokens, uint32_t given, float temperature) {
    return learner_complete(&microgpt->learner, tokens, given, temperature, NULL);
}

void microgpt_next(struct microgpt *microgpt, const uint8_t *tokens, uint32_t given, float temperature,
                   float *probabilities) {
    const float *next = learner_next(&microgpt->learner, tokens, given, temperature);
    memcpy(probabilities, next, microgpt->learner.model.shape.vocab_size * sizeof(float));
}

float microgpt_loss(struct microgpt *microgpt, const uint8_t *document, uint32_t length, float *losses) {
    const uint32_t count = learner_read(&microgpt->learner, document, length);
    float total = 0.0f;
    for (uint32_t t = 0; t < count; ++t) {
        losses[t] = learner_loss_at(&microgpt->learner, t);
        total += losses[t];
    }
    return total / (float)count;
}

int32_t microgpt_gradient(struct microgpt *microgpt, const uint8_t *document, uint32_t length, float *gradient,
                          float *loss) {
    struct learner *learner = &microgpt->learner;
    const uint32_t parameters = learner->model.parameters;
    error_begin();
    float *second = calloc(parameters, sizeof(float));
    if (second == NULL) {
        out_of_memory();
        return 0;
    }
    memset(gradient, 0, parameters * sizeof(float));
    // A step of rate zero leaves the weights alone and its gradient in fresh first moments.
    const struct adam_step step = {.gradient_scale = 1.0f, .epsilon = 1.0f, .exact_below = INFINITY};
    const struct parameters scratch = {learner->parameters.values, gradient, second};
    *loss = learner_pass(learner, document, length, &scratch, &step);
    free(second);
    return 1;
}
