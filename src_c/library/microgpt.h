// SPDX-License-Identifier: MIT
// The learner as a shared library of this machine: site_scons/microgpt is its Python face. Any number of learners, from any
// threads, but one thread at a time for each.
#ifndef MICROGPT_H
#define MICROGPT_H

#include <stdint.h>

#include "core/checkpoint.h"
#include "core/learner.h"
#include "core/training_time.h"

#define MICROGPT_API __attribute__((visibility("default")))

// Why the last call of this thread that failed did: half a sentence.
MICROGPT_API const char *microgpt_error(void);

// Names in the order of core/arrays.h; NULL beyond the last.
MICROGPT_API const char *microgpt_array_name(uint32_t array);
MICROGPT_API const char *microgpt_purpose_name(uint32_t purpose);

// What an array is for, as an index of purposes. array: less than there are.
MICROGPT_API uint32_t microgpt_array_purpose(uint32_t array);

// The plan for a request in banks of these lengths, and what follows from it.
struct microgpt_plan {
    struct plan plan; // its banks and offsets
    uint32_t purposes[PURPOSE_COUNT];
    uint32_t extents[MOST_BANKS];
    uint32_t reduced[REDUCIBLE_COUNT]; // see plan_reduced()
};

// Returns 1, or 0 for a shape that makes no model. A plan with bytes missing is a plan; microgpt_error() then says so.
MICROGPT_API int32_t microgpt_plan(const struct plan_request *request, const uint32_t *bank_bytes, uint32_t banks,
                                   struct microgpt_plan *result);

// The time of training: core/training_time.h. Shapes are such as shape_check() accepts, cores 1 or 2.
MICROGPT_API void microgpt_positions(const uint32_t *offsets, uint32_t documents, uint32_t block_size, struct positions *result);
MICROGPT_API void microgpt_effort_of_run(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                                         float learning_rate, struct effort *result);
MICROGPT_API float microgpt_training_cycles(const struct model_shape *shape, const struct positions *positions,
                                            const struct effort *effort, uint32_t cores);
MICROGPT_API float microgpt_training_seconds(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                                             float learning_rate, uint32_t cores, float mhz);

// What those shares and that sum are made of; the names of the terms, NULL beyond the last.
MICROGPT_API void microgpt_effort_factors(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                                          float learning_rate, float *factors);
MICROGPT_API void microgpt_training_terms(const struct model_shape *shape, const struct positions *positions,
                                          const struct effort *effort, uint32_t cores, float *terms);
MICROGPT_API const char *microgpt_training_term_name(uint32_t term);

struct microgpt;

// A learner of a packed text of image_bytes, which it copies; NULL on failure. shape: its vocab_size is ignored.
MICROGPT_API struct microgpt *microgpt_new(const void *image, uint32_t image_bytes, const struct model_shape *shape,
                                           const struct recipe *recipe);

// A learner of that text that goes on from a checkpoint with state of checkpoint_bytes; NULL on failure.
MICROGPT_API struct microgpt *microgpt_resume(const void *image, uint32_t image_bytes, const void *checkpoint,
                                              uint32_t checkpoint_bytes);

// Writes a checkpoint to `to`, if there is room for it; returns its bytes. contents: enum checkpoint_contents.
MICROGPT_API uint32_t microgpt_save(struct microgpt *microgpt, uint32_t contents, uint8_t *to, uint32_t room);

MICROGPT_API void microgpt_delete(struct microgpt *microgpt);

MICROGPT_API uint32_t microgpt_parameters(const struct microgpt *microgpt);
MICROGPT_API uint32_t microgpt_vocabulary(const struct microgpt *microgpt);
MICROGPT_API uint32_t microgpt_checksum(const struct microgpt *microgpt);
MICROGPT_API uint32_t microgpt_steps_taken(const struct microgpt *microgpt);

// Weights, first and second moments, one after the other in memory that the learner owns (struct parameters).
MICROGPT_API void microgpt_memory(struct microgpt *microgpt, struct parameters *parameters);

// The weights or their moments have been written to: what was derived from them is forgotten.
MICROGPT_API void microgpt_weights_changed(struct microgpt *microgpt);

// Takes `steps` training steps, and stops after one whose loss is not finite. losses: room for them. Returns how many it took.
MICROGPT_API uint32_t microgpt_train(struct microgpt *microgpt, uint32_t steps, float *losses);

// The effort of the step that microgpt_train() took last. After one at least.
MICROGPT_API void microgpt_effort(const struct microgpt *microgpt, struct effort *result);

// See core/learner.h. Tokens are below vocab_size.
MICROGPT_API uint32_t microgpt_complete(struct microgpt *microgpt, uint8_t *tokens, uint32_t given, float temperature);
MICROGPT_API void microgpt_next(struct microgpt *microgpt, const uint8_t *tokens, uint32_t given, float temperature,
                                float *probabilities);
MICROGPT_API float microgpt_loss(struct microgpt *microgpt, const uint8_t *document, uint32_t length, float *losses);

// The loss of each of many documents, added up over the positions that microgpt_loss() tells apart. offsets: of each document's
// first token in tokens and, last, of the end. losses: room for one a document.
MICROGPT_API void microgpt_losses(struct microgpt *microgpt, const uint8_t *tokens, const uint32_t *offsets, uint32_t documents,
                                  float *losses);

// The gradient of a document's loss by every parameter, and the loss. Changes nothing. Returns 1, or 0 without memory for it.
MICROGPT_API int32_t microgpt_gradient(struct microgpt *microgpt, const uint8_t *document, uint32_t length, float *gradient,
                                       float *loss);

#endif
