// SPDX-License-Identifier: MIT
// Training and generation, step by step. microgpt.py's program, less its printing.
#ifndef TRAINER_H
#define TRAINER_H

#include <stdint.h>

#include "core/adam.h"
#include "core/dataset.h"
#include "core/model.h"
#include "core/python_random.h"
#include "generated/run_config.h"

// Only the documents that training reaches are remembered; there may be fewer.
#define ORDER_LENGTH (STEPS < NUM_DOCS ? STEPS : NUM_DOCS)

struct trainer {
    struct dataset dataset;
    struct python_random random;
    struct adam_schedule schedule;
    uint32_t step; // steps taken
    uint32_t document; // index into order of the next document
    float opening_scale; // 1 / temperature of the probabilities that position 0 holds; 0: none
    uint32_t order_length;
    uint16_t order[ORDER_LENGTH];
};

// Seeds the generator, shuffles the documents and draws the weights. dataset: as dataset_open() left it.
void trainer_begin(struct trainer *trainer, const struct dataset *dataset, const uint32_t *seed_key, uint32_t key_words);

// One training step on the next document; returns its loss, in nats. At most STEPS calls.
float trainer_step(struct trainer *trainer);

// Generates one document: writes its tokens and returns how many, at most BLOCK_SIZE.
uint32_t trainer_sample(struct trainer *trainer, uint8_t tokens[BLOCK_SIZE], float temperature);

#endif
