// SPDX-License-Identifier: MIT
#include "core/training_time.h"

#include "math/math32.h"

// Once, for it is long where it is inlined.
__attribute__((noinline)) static float ratio(float a, float b) { return divide32(a, b); }

struct positions positions_of_text(const uint32_t *offsets, uint32_t documents, uint32_t block_size) {
    uint32_t count = 0;
    float squared = 0.0f;
    for (uint32_t i = 0; i < documents; ++i) {
        const uint32_t length = offsets[i + 1] - offsets[i];
        const uint32_t positions = length < block_size ? length + 1 : block_size;
        count += positions;
        squared += (float)(positions * positions);
    }
    return (struct positions){ratio((float)count, (float)documents), ratio(squared, (float)documents)};
}

// What lies between 0 and 1 as x, the sum of these terms, each times a coefficient, lies between its ends: a sigmoid.
__attribute__((noinline)) static float share(const float coefficients[EFFORT_TERMS], const float factors[EFFORT_FACTORS]) {
    float x = 0.0f;
    for (uint32_t i = 0, j = 0; i < EFFORT_FACTORS;) {
        x += *coefficients++ * factors[i] * factors[j];
        if (++j == EFFORT_FACTORS) {
            j = ++i;
        }
    }
    return 0.5f + 0.5f * ratio(x, sqrt32(1.0f + x * x));
}

void effort_factors(const struct model_shape *shape, const struct positions *positions, uint32_t steps, float learning_rate,
                    float factors[EFFORT_FACTORS]) {
    factors[0] = (float)shape->n_embd;
    factors[1] = (float)shape->n_layer;
    factors[2] = positions->count;
    factors[3] = (float)steps + FIRST_STEPS;
    factors[4] = 1.0f + learning_rate * (float)steps;
    for (uint32_t i = 0; i < EFFORT_FACTORS - 1; ++i) {
        factors[i] = log32(factors[i]);
    }
    factors[EFFORT_FACTORS - 1] = 1.0f;
}

struct effort effort_of_run(const struct model_shape *shape, const struct positions *positions, uint32_t steps,
                            float learning_rate) {
    float factors[EFFORT_FACTORS];
    effort_factors(shape, positions, steps, learning_rate, factors);
    for (uint32_t i = 0; i < EFFORT_FACTORS; ++i) { // beyond, nothing is known, and squares would run away
        factors[i] = factors[i] < training_fit.least[i] ? training_fit.least[i] : factors[i];
        factors[i] = factors[i] > training_fit.most[i] ? training_fit.most[i] : factors[i];
    }
    const float active = share(training_fit.active, factors);
    const uint32_t late = steps > CAREFUL_AFTER ? steps - CAREFUL_AFTER : 0;
    return (struct effort){active, share(training_fit.careful, factors) * ratio((float)late, (float)steps)};
}

void training_terms(const struct model_shape *shape, const struct positions *positions, const struct effort *effort,
                    uint32_t cores, float terms[TRAINING_TERMS]) {
    const float L = (float)shape->n_layer;
    const float E = (float)shape->n_embd;
    const float H = (float)shape->n_head;
    const float D = (float)HEAD_SIZE(shape);
    const float K = (float)(cores == 1 ? shape->n_head : (shape->n_head + 1) / 2);
    const float B = (float)shape->block_size;
    const float V = (float)shape->vocab_size;
    const float T = positions->count;
    const float T2 = positions->squared;
    const float A = T * effort->active;
#define TERM(name, value) terms[TERM_##name] = (value);
    TERMS(TERM)
#undef TERM
}

float training_cycles(const struct model_shape *shape, const struct positions *positions, const struct effort *effort,
                      uint32_t cores) {
    float terms[TRAINING_TERMS];
    training_terms(shape, positions, effort, cores, terms);
    float cycles = 0.0f;
    for (uint32_t i = 0; i < TRAINING_TERMS; ++i) {
        cycles += training_fit.cycles[cores - 1][i] * terms[i];
    }
    return cycles;
}

float training_seconds(const struct model_shape *shape, const struct positions *positions, uint32_t steps, float learning_rate,
                       uint32_t cores, float mhz) {
    const struct effort effort = effort_of_run(shape, positions, steps, learning_rate);
    const float microseconds = ratio(training_cycles(shape, positions, &effort, cores), mhz);
    return microseconds * (float)steps * 1e-6f;
}
