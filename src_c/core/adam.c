// SPDX-License-Identifier: MIT
#include "core/adam.h"

#include "math/math32.h"

struct adam_step adam_next(struct adam_schedule *schedule, uint32_t step, uint32_t steps, float learning_rate) {
    schedule->first_weight = FMA32(schedule->first_weight, ADAM_BETA1, 1.0f);
    schedule->second_weight = FMA32(schedule->second_weight, ADAM_BETA2, 1.0f);
    const float root = sqrt32(schedule->second_weight);
    const float step_rate = learning_rate * divide32((float)(steps - step), (float)steps);
    const float rate = divide32(step_rate * root, schedule->first_weight);
    const float epsilon = ADAM_EPSILON * root;
    const float exact_root = ADAM_FAST_RATIO * epsilon;
    return (struct adam_step){
        .beta1 = ADAM_BETA1,
        .beta2 = ADAM_BETA2,
        .rate = rate,
        .epsilon = epsilon,
        .scaled_rate = -rate * RSQRT_SCALE,
        .lifted_epsilon = 2.0f * RSQRT_ROOT_E * epsilon,
        .exact_below = exact_root * exact_root,
    };
}
