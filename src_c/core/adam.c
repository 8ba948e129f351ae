// SPDX-License-Identifier: MIT
#include "core/adam.h"

#include "math/math32.h"

// 1 / sqrt(ADAM_BETA2) and what it lacks in float32
#define SCALE_GROWTH 0x1.014a28p+0f
#define SCALE_GROWTH_REST 0x1.07902ep-25f

struct adam_schedule adam_begin(void) { return (struct adam_schedule){.gradient_scale = 1.0f}; }

static void grow_scale(struct adam_schedule *schedule) {
    const float scale = schedule->gradient_scale;
    const float product = scale * SCALE_GROWTH;
    const float lost = FMA32(scale, SCALE_GROWTH, -product);
    const float rest = FMA32(schedule->scale_rest, SCALE_GROWTH, FMA32(scale, SCALE_GROWTH_REST, lost));
    schedule->gradient_scale = product + rest;
    schedule->scale_rest = (product - schedule->gradient_scale) + rest;
}

struct adam_step adam_next(struct adam_schedule *schedule, uint32_t step, uint32_t steps, float learning_rate) {
    const float scale = schedule->gradient_scale;
    const float first_decay = ADAM_BETA1 * SCALE_GROWTH;
    schedule->first_normaliser = FMA32(schedule->first_normaliser, first_decay, scale);
    schedule->second_normaliser = FMA32(scale, scale, schedule->second_normaliser);
    grow_scale(schedule);

    const float root = sqrt32(schedule->second_normaliser);
    const float step_rate = learning_rate * divide32((float)(steps - step), (float)steps);
    const float rate = divide32(step_rate * root, schedule->first_normaliser);
    const float epsilon = ADAM_EPSILON * root;
    const float exact_root = ADAM_FAST_RATIO * epsilon;
    const float exact_below = exact_root * exact_root;
    return (struct adam_step){
        .gradient_scale = scale,
        .first_decay = first_decay,
        .rate = rate,
        .epsilon = epsilon,
        .scaled_rate = -rate * RSQRT_SCALE,
        .lifted_epsilon = 2.0f * RSQRT_ROOT_E * epsilon,
        .exact_below = exact_below,
        .all_large = schedule->least_second >= exact_below,
    };
}

void adam_measure(struct adam_schedule *schedule, const struct adam_step *step, const float *second, uint32_t length) {
    float least = second[0];
    for (uint32_t i = 0; i < length && least >= step->exact_below; ++i) {
        least = second[i] < least ? second[i] : least;
    }
    schedule->least_second = least;
}

void adam_rescale(struct adam_schedule *schedule, float *first, float *second, uint32_t length) {
    if (schedule->gradient_scale < ADAM_SCALE_LIMIT) {
        return;
    }
    const float factor = 1.0f / ADAM_SCALE_LIMIT;
    schedule->gradient_scale *= factor;
    schedule->scale_rest *= factor;
    schedule->first_normaliser *= factor;
    schedule->second_normaliser *= factor * factor;
    schedule->least_second *= factor * factor;
    for (uint32_t i = 0; i < length; ++i) {
        first[i] *= factor;
        second[i] *= factor * factor;
    }
}
