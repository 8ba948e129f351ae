// SPDX-License-Identifier: MIT
#include "core/trainer.h"

#include "kernels/kernels.h"
#include "math/math32.h"

#define INITIAL_DEVIATION 0.08f

union arena arena;

static void shuffle_documents(struct trainer *trainer) {
    const uint32_t documents = trainer->dataset.documents;
    for (uint32_t i = 0; i < documents; ++i) {
        arena.shuffle[i] = (uint16_t)i;
    }
    random_shuffle(&trainer->random, arena.shuffle, documents);
    trainer->order_length = documents < ORDER_LENGTH ? documents : ORDER_LENGTH;
    for (uint32_t i = 0; i < trainer->order_length; ++i) {
        trainer->order[i] = arena.shuffle[i];
    }
}

static void draw_weights(struct trainer *trainer) {
    struct training_memory *memory = &arena.training;
    float *weights = (float *)&memory->weights;
    float *first = (float *)&memory->first_moment;
    float *second = (float *)&memory->second_moment;
    for (uint32_t i = 0; i < N_PARAMETERS; ++i) {
        weights[i] = random_gauss(&trainer->random, INITIAL_DEVIATION);
        first[i] = 0.0f;
        second[i] = 0.0f;
    }
}

void trainer_begin(struct trainer *trainer, const struct dataset *dataset, const uint32_t *seed_key, uint32_t key_words) {
    trainer->dataset = *dataset;
    trainer->schedule = adam_begin();
    trainer->step = 0;
    trainer->document = 0;
    trainer->opening_scale = 0.0f;
    random_seed(&trainer->random, seed_key, key_words);
    shuffle_documents(trainer);
    draw_weights(trainer);
}

float trainer_step(struct trainer *trainer) {
    const uint32_t index = trainer->order[trainer->document];
    const uint32_t begin = trainer->dataset.offsets[index];
    const uint32_t length = trainer->dataset.offsets[index + 1] - begin;
    const uint32_t count = length + 1 < BLOCK_SIZE ? length + 1 : BLOCK_SIZE;
    const uint8_t *document = trainer->dataset.tokens + begin;
    uint8_t tokens[BLOCK_SIZE + 1];
    tokens[0] = BOS;
    for (uint32_t t = 1; t <= count; ++t) {
        tokens[t] = t <= length ? document[t - 1] : BOS;
    }
    trainer->document = trainer->document + 1 < trainer->order_length ? trainer->document + 1 : 0;

    const struct adam_step step = adam_next(&trainer->schedule, trainer->step, STEPS, LEARNING_RATE);
    ++trainer->step;
    trainer->opening_scale = 0.0f;
    forward(tokens, 0, count);
    const float loss = cross_entropy(tokens + 1, count, step.gradient_scale);
    backward(tokens, count, &step);
    struct training_memory *memory = &arena.training;
    adam_rescale(&trainer->schedule, (float *)&memory->first_moment, (float *)&memory->second_moment, N_PARAMETERS);
    return loss;
}

// Probabilities of what follows a token at this position. Every document opens with BOS, so position 0 keeps its own, and
// its keys and values, for the documents to come.
static const float *predict(struct trainer *trainer, uint8_t token, uint32_t position, float scale) {
    float *probabilities = arena.training.activations.logits[position];
    if (position > 0 || trainer->opening_scale != scale) {
        forward(&token, position, 1);
        softmax(probabilities, VOCAB_SIZE, scale, 1.0f);
    }
    if (position == 0) {
        trainer->opening_scale = scale;
    }
    return probabilities;
}

uint32_t trainer_sample(struct trainer *trainer, uint8_t tokens[BLOCK_SIZE], float temperature) {
    const float scale = reciprocal32(temperature);
    uint8_t token = BOS;
    uint32_t length = 0;
    while (length < BLOCK_SIZE) {
        const float *probabilities = predict(trainer, token, length, scale);
        token = (uint8_t)random_choice(&trainer->random, probabilities, VOCAB_SIZE);
        if (token == BOS) {
            break;
        }
        tokens[length++] = token;
    }
    return length;
}
