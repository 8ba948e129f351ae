// SPDX-License-Identifier: MIT
// Training and generation, step by step. microgpt.py's program, less its printing. Everything a run needs to go on is in
// struct learner and in the banks that it was given; nothing here is global.
#ifndef LEARNER_H
#define LEARNER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/adam.h"
#include "core/dataset.h"
#include "core/model.h"
#include "core/plan.h"
#include "core/python_random.h"
#include "core/team.h"
#include "core/xoshiro.h"

// How a model is trained.
struct recipe {
    const uint32_t *seed; // as random_seed() takes it
    uint32_t seed_words;
    uint32_t steps;      // 1 to MOST_STEPS
    float learning_rate; // at the first step
};

struct learner {
    struct team *team; // that computes
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

// Places the arrays in the banks, with nothing in them, for core/checkpoint.h to fill. Arguments as for learner_begin().
void learner_place(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                   const struct dataset *dataset, struct team *team);

// Places the arrays in the banks, seeds the generator, shuffles the documents and draws the weights.
// request: with vocab_size and documents as dataset_open() found them. banks: in which plan_missing() finds nothing missing; they
// are the learner's until the next begin. team: whose first member calls all functions here; the others, learner_help().
void learner_begin(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                   const struct dataset *dataset, const struct recipe *recipe, struct team *team);

// Places the arrays for generation alone, from weights that are read where they lie, in the order of struct weights and aligned to
// 4 bytes: as long as they stay there, everything below but training may be called, which counts as ended.
// The caller seeds learner->random, and sets learning_rate, which a checkpoint names.
// request: with generates; else as for learner_begin().
void learner_generate(struct learner *learner, const struct plan_request *request, const struct banks *banks,
                      const struct dataset *dataset, const float *weights, struct team *team);

// What the learner has its team do.
enum learner_job { LEARNER_PASS, LEARNER_READ, LEARNER_PREDICT, LEARNER_JOBS };

// Another member's part of a job that the learner has posted.
void learner_help(const struct learner *learner, const struct worker *worker);

// One training step on the next document; returns its loss, in nats. At most `steps` calls.
float learner_step(struct learner *learner);

// Both passes on one document, with this Adam step on these parameters; returns the loss before it, in nats. length: in tokens.
float learner_pass(struct learner *learner, const uint8_t *document, uint32_t length, const struct parameters *parameters,
                   const struct adam_step *step);

// Generates one document that begins with the `given` tokens in `tokens`: writes the others behind them and returns how many
// there are in all, at most block_size. temperature: divides the logits; positive. given: at most block_size.
// aside: generator to draw from, so that the run's own samples stay what they are; NULL: the run's.
uint32_t learner_complete(struct learner *learner, uint8_t *tokens, uint32_t given, float temperature, struct xoshiro *aside);

// The same a token at a time: returns whether there is one behind the `length` that there are, and puts it there.
// scale: 1 / temperature.
bool learner_draw(struct learner *learner, uint8_t *tokens, uint32_t length, uint32_t given, float scale,
                  struct xoshiro *aside);

// Probabilities of what follows a document that begins with these tokens: vocab_size numbers, valid until the next call.
// given: less than block_size.
const float *learner_next(struct learner *learner, const uint8_t *tokens, uint32_t given, float temperature);

// Trains on a document out of turn, as one step of Adam at the full learning rate: neither the count of steps nor the order of
// documents moves. Returns the loss before it, in nats. length: in tokens.
float learner_teach(struct learner *learner, const uint8_t *document, uint32_t length);

// Reads a document, for the functions below: one pass over its positions, those of BOS and of each character, the last of
// which predicts the end; at most block_size. Returns how many. Trains nothing. document: not the learner's own tokens.
uint32_t learner_read(struct learner *learner, const uint8_t *document, uint32_t length);

// To be called before a position is asked for, and for the first time in ascending order: a model that generates alone reads here,
// and knows the attention of no other position behind it.
void learner_read_position(struct learner *learner, uint32_t position);

// Probabilities of what follows a position of what was read last: vocab_size numbers.
const float *learner_follows(const struct learner *learner, uint32_t position);

// Loss there, in nats.
float learner_loss_at(const struct learner *learner, uint32_t position);

// What a head attended to at a position of what learner_read() read last: position + 1 weights, whose sum is 1.
const float *learner_attention(const struct learner *learner, uint32_t layer, uint32_t head, uint32_t position);

// CRC-32 of the weights.
uint32_t learner_checksum(const struct learner *learner);

#endif
