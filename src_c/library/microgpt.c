// SPDX-License-Identifier: MIT
#include "library/microgpt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/refusal.h"
#include "board/console.h"
#include "core/crc32.h"

#define CACHE_LINE 64u // vectors that cross its border are slow

struct microgpt {
    struct learner learner;
    struct team team; // of one: the caller's thread
    void *image;
    void *memory;
    uint32_t *seed;
    uint32_t seed_words;
    struct checkpoint_run run; // kept for the program that goes on
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

void microgpt_positions(const uint32_t *offsets, uint32_t documents, uint32_t block_size, struct positions *result) {
    *result = positions_of_text(offsets, documents, block_size);
}

void microgpt_effort_of_run(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                            float learning_rate, struct effort *result) {
    *result = effort_of_run(shape, positions, steps, learning_rate);
}

void microgpt_effort_factors(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                             float learning_rate, float *factors) {
    effort_factors(shape, positions, steps, learning_rate, factors);
}

float microgpt_training_cycles(const struct model_shape *shape, const struct positions *positions, const struct effort *effort,
                               uint32_t cores) {
    return training_cycles(shape, positions, effort, cores);
}

float microgpt_training_seconds(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                                float learning_rate, uint32_t cores, float mhz) {
    return training_seconds(shape, positions, steps, learning_rate, cores, mhz);
}

void microgpt_training_terms(const struct model_shape *shape, const struct positions *positions, const struct effort *effort,
                             uint32_t cores, float *terms) {
    training_terms(shape, positions, effort, cores, terms);
}

const char *microgpt_training_term_name(uint32_t term) {
#define NAME(name, value) #name,
    static const char *const names[] = {TERMS(NAME)};
#undef NAME
    return term < TRAINING_TERMS ? names[term] : NULL;
}

// A learner of that text without a model; NULL without memory for it.
static struct microgpt *allocate(const void *image, uint32_t image_bytes, uint32_t seed_words) {
    struct microgpt *microgpt = calloc(1, sizeof(*microgpt));
    if (microgpt != NULL) {
        microgpt->image = malloc(image_bytes > 0 ? image_bytes : 1);
        microgpt->seed = calloc(seed_words, sizeof(uint32_t));
        microgpt->seed_words = seed_words;
        microgpt->team.members = 1;
    }
    if (microgpt == NULL || microgpt->image == NULL || microgpt->seed == NULL) {
        out_of_memory();
        microgpt_delete(microgpt);
        return NULL;
    }
    memcpy(microgpt->image, image, image_bytes);
    return microgpt;
}

static bool open_dataset(const struct microgpt *microgpt, uint32_t image_bytes, struct dataset *dataset) {
    const enum dataset_error found = dataset_open(microgpt->image, image_bytes, dataset);
    if (found != DATASET_OK) {
        print_dataset_error(found);
    }
    return found == DATASET_OK;
}

// As much memory as the plan for a request takes.
static bool find_memory(struct microgpt *microgpt, const struct plan_request *request, struct banks *banks) {
    *banks = (struct banks){.count = 1, .bank = {{.bytes = UINT32_MAX}}};
    struct plan plan;
    plan_make(&plan, request, banks);
    banks->bank[0].bytes = (plan_extent(&plan, 0) + CACHE_LINE - 1) & ~(CACHE_LINE - 1);
    microgpt->memory = aligned_alloc(CACHE_LINE, banks->bank[0].bytes);
    if (microgpt->memory == NULL) {
        out_of_memory();
        return false;
    }
    memset(microgpt->memory, 0xFF, banks->bank[0].bytes); // NaN: what is read before it is written shows
    banks->bank[0].start = microgpt->memory;
    return true;
}

static bool begin(struct microgpt *microgpt, uint32_t image_bytes, const struct model_shape *shape,
                  const struct recipe *recipe) {
    struct dataset dataset;
    if (!open_dataset(microgpt, image_bytes, &dataset)) {
        return false;
    }
    struct plan_request request = {.shape = *shape, .documents = dataset.documents, .steps = recipe->steps};
    request.shape.vocab_size = dataset.vocab_size;
    if (shape_check(&request.shape) != SHAPE_OK) {
        print_shape_error(&request.shape);
        return false;
    }
    struct banks banks;
    if (!find_memory(microgpt, &request, &banks)) {
        return false;
    }
    learner_begin(&microgpt->learner, &request, &banks, &dataset, recipe, &microgpt->team);
    memcpy(microgpt->seed, recipe->seed, recipe->seed_words * sizeof(uint32_t));
    // What the program has by default, for one that goes on from here.
    microgpt->run = (struct checkpoint_run){.samples = 20, .log_every = 100, .temperature = 0.5f};
    xoshiro_seed(&microgpt->run.aside, recipe->seed[0]);
    return true;
}

struct microgpt *microgpt_new(const void *image, uint32_t image_bytes, const struct model_shape *shape,
                              const struct recipe *recipe) {
    error_begin();
    struct microgpt *microgpt = allocate(image, image_bytes, recipe->seed_words);
    if (microgpt != NULL && begin(microgpt, image_bytes, shape, recipe)) {
        return microgpt;
    }
    microgpt_delete(microgpt);
    return NULL;
}

static bool resume(struct microgpt *microgpt, uint32_t image_bytes, struct checkpoint *checkpoint, const uint8_t *bytes) {
    const struct checkpoint_header *header = &checkpoint->header;
    const uint32_t body_bytes = header->bytes - CHECKPOINT_HEADER_BYTES;
    struct plan_request request = {.steps = header->steps};
    struct banks banks;
    struct dataset dataset;
    if (!open_dataset(microgpt, image_bytes, &dataset)) {
        return false;
    }
    const bool is_whole = crc32(bytes + CHECKPOINT_HEADER_BYTES, body_bytes) == header->body_crc32;
    const enum checkpoint_error found =
        is_whole ? checkpoint_check_place(header, &dataset, microgpt->seed_words, &request) : CHECKPOINT_DAMAGED;
    if (found != CHECKPOINT_OK) {
        print_checkpoint_error(found, NULL, NULL);
        return false;
    }
    if (!find_memory(microgpt, &request, &banks)) {
        return false;
    }
    learner_place(&microgpt->learner, &request, &banks, &dataset, &microgpt->team);
    checkpoint_aim(checkpoint, &microgpt->learner, microgpt->seed);
    if (!checkpoint_compare(checkpoint, &dataset) ||
        !checkpoint_put(checkpoint, CHECKPOINT_HEADER_BYTES, bytes + CHECKPOINT_HEADER_BYTES, body_bytes) ||
        !checkpoint_restore(header, &microgpt->learner)) {
        print_checkpoint_error(CHECKPOINT_DAMAGED, &request, &banks);
        return false;
    }
    microgpt->run = header->run;
    return true;
}

struct microgpt *microgpt_resume(const void *image, uint32_t image_bytes, const void *checkpoint,
                                 uint32_t checkpoint_bytes) {
    error_begin();
    struct checkpoint opened;
    enum checkpoint_error found = CHECKPOINT_MISSING;
    if (checkpoint_bytes >= CHECKPOINT_HEADER_BYTES) {
        memcpy(&opened.header, checkpoint, CHECKPOINT_HEADER_BYTES);
        found = checkpoint_check_header(&opened);
    }
    if (found == CHECKPOINT_OK && opened.header.bytes != checkpoint_bytes) {
        found = CHECKPOINT_CUT_SHORT;
    }
    if (found != CHECKPOINT_OK) {
        print_checkpoint_error(found, NULL, NULL);
        return NULL;
    }
    if (opened.header.contents != CHECKPOINT_STATE) {
        static const char text[] = "the checkpoint has weights alone, and no training to go on with";
        board_console_write(text, sizeof(text) - 1);
        return NULL;
    }
    struct microgpt *microgpt = allocate(image, image_bytes, opened.header.seed_words);
    if (microgpt != NULL && resume(microgpt, image_bytes, &opened, checkpoint)) {
        return microgpt;
    }
    microgpt_delete(microgpt);
    return NULL;
}

uint32_t microgpt_save(struct microgpt *microgpt, uint32_t contents, uint8_t *to, uint32_t room) {
    struct checkpoint checkpoint;
    checkpoint_describe(&checkpoint, (enum checkpoint_contents)contents, &microgpt->learner, microgpt->seed,
                        microgpt->seed_words);
    if (contents == CHECKPOINT_STATE) {
        checkpoint.header.run = microgpt->run;
    }
    checkpoint_number(&checkpoint, 0);
    const uint32_t bytes = checkpoint.header.bytes;
    if (room >= bytes) {
        memcpy(to, &checkpoint.header, CHECKPOINT_HEADER_BYTES);
        to += CHECKPOINT_HEADER_BYTES;
        for (uint32_t i = 0; i < CHECKPOINT_PARTS; ++i) {
            if (checkpoint.part[i].bytes > 0) {
                memcpy(to, checkpoint.part[i].start, checkpoint.part[i].bytes);
            }
            to += checkpoint.part[i].bytes;
        }
    }
    return bytes;
}

void microgpt_delete(struct microgpt *microgpt) {
    if (microgpt != NULL) {
        free(microgpt->image);
        free(microgpt->memory);
        free(microgpt->seed);
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

// Share of the hidden values of the last document that ReLU has let pass.
static float active_share(const struct learner *learner) {
    const struct model_shape *shape = &learner->model.shape;
    const uint32_t *last = learner->dataset.offsets + learner->order[(learner->step - 1) % learner->order_length];
    const uint32_t positions = (uint32_t)positions_of_text(last, 1, shape->block_size).count;
    const uint32_t hidden = positions * N_HIDDEN(shape);
    uint32_t active = 0;
    for (uint32_t l = 0; l < shape->n_layer; ++l) {
        const struct layer_activations layer = layer_activations(&learner->model, l);
        for (uint32_t i = 0; i < hidden; ++i) {
            active += layer.hidden.first[i] > 0.0f;
        }
    }
    return (float)active / (float)(shape->n_layer * hidden);
}

// Share of the weights in matrices whose second moment is small; of a pair with one such two thirds (struct effort).
static float careful_share(const struct learner *learner) {
    const float small_root = ADAM_FAST_RATIO * ADAM_EPSILON;
    const float exact_below = small_root * small_root * learner->schedule.second_normaliser;
    if (learner->schedule.least_second >= exact_below) {
        return 0.0f;
    }
    const float *second = weights_at(&learner->model.shape, learner->parameters.second_moments).lm_head;
    const uint32_t pairs = (uint32_t)(learner->parameters.second_moments + learner->model.parameters - second) / 2;
    uint32_t thirds = 0;
    for (uint32_t i = 0; i < pairs; ++i) {
        const uint32_t small = (uint32_t)(second[2 * i] < exact_below) + (second[2 * i + 1] < exact_below);
        thirds += small + (small > 0);
    }
    return (float)thirds / (float)(3 * pairs);
}

void microgpt_effort(const struct microgpt *microgpt, struct effort *result) {
    *result = (struct effort){active_share(&microgpt->learner), careful_share(&microgpt->learner)};
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

void microgpt_losses(struct microgpt *microgpt, const uint8_t *tokens, const uint32_t *offsets, uint32_t documents,
                     float *losses) {
    for (uint32_t i = 0; i < documents; ++i) {
        const uint32_t count = learner_read(&microgpt->learner, tokens + offsets[i], offsets[i + 1] - offsets[i]);
        losses[i] = 0.0f;
        for (uint32_t t = 0; t < count; ++t) {
            losses[i] += learner_loss_at(&microgpt->learner, t);
        }
    }
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
