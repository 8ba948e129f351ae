// SPDX-License-Identifier: MIT
// Training and generation, step by step. microgpt.py's program, less its printing. Everything a run needs to go on is in
// struct learner and in the banks that it was given; nothing here is global.
#ifndef LEARNER_H
#define LEARNER_H

#include <stdint.h>

#include "core/adam.h"
#include "core/dataset.h"
#include "core/model.h"
#include "core/plan.h"
#include "core/python_random.h"

// How a model is trained.
struct recipe {
    const uint32_t *seed; // as random_seed() takes it
    uint32_t seed_words;
    uint32_t steps;      // 1 to MOST_STEPS
    float learning_rate; // at the first step
};

struct learner {
    struct dataset dataset;
    struct model model;
    struct parameters parameters;
    uint32_t steps;
    float learning_rate;
    struct python_random random;
    struct adam_schedule schedule;
    uint32_t step;       // steps taken
    uint32_t document;   // index into order of the next document
    uint32_t order_length;
    uint16_t *order;
    float opening_scale; // 1 / temperature of the probabilities that position 0 holds; 0: none
};

// Places the arrays in the banks, seeds the generator, shuffles the documents and draws the weights.
// request: with vocab_size and documents as dataset_open() found them. banks: in which plan_missing() finds nothing missing; they
// are the learner's until the next begin.
void learner_begin(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                   const struct dataset *dataset, const struct recipe *recipe);

// One training step on the next document; returns its loss, in nats. At most `steps` calls.
float learner_step(struct learner *learner);

// Both passes on one document, with this Adam step on these parameters; returns the loss before it, in nats. length: in tokens.
float learner_pass(struct learner *learner, const uint8_t *document, uint32_t length, const struct parameters *parameters,
                   const struct adam_step *step);

// Generates one document that begins with the `given` tokens in `tokens`: writes the others behind them and returns how many
// there are in all, at most block_size. temperature: divides the logits; positive. given: at most block_size.
uint32_t learner_complete(struct learner *learner, uint8_t *tokens, uint32_t given, float temperature);

// Probabilities of what follows a document that begins with these tokens: vocab_size numbers, valid until the next call.
// given: less than block_size.
const float *learner_next(struct learner *learner, const uint8_t *tokens, uint32_t given, float temperature);

// Loss of a document, in nats, and of each of its positions: what follows BOS, each character, and the end. Trains nothing.
// Of a document longer than block_size the first block_size positions count. losses: room for that many. Returns the mean.
float learner_loss(struct learner *learner, const uint8_t *document, uint32_t length, float *losses);

// CRC-32 of the weights.
uint32_t learner_checksum(const struct learner *learner);

#endif
