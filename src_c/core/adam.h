// SPDX-License-Identifier: MIT
// Adam's schedule: what changes from step to step but not from weight to weight.
#ifndef ADAM_H
#define ADAM_H

#include <stdint.h>

#include "kernels/kernels.h"

#define ADAM_BETA1 0.85f
#define ADAM_BETA2 0.99f
#define ADAM_EPSILON 1e-8f

// How many epsilons the square root of the second moment must measure for the fast formula. It knows epsilon's share to
// 4 %, so the relative error from epsilon stays below 0.04 / 1e4.
#define ADAM_FAST_RATIO 1e4f

struct adam_schedule {
    float first_weight;  // sum of beta1^i over the steps taken, which the first moment is divided by
    float second_weight; // sum of beta2^i
};

// The constants of step number `step` (from 0) of `steps`, after advancing the schedule (zeroed before step 0).
// Learning rate: learning_rate * (1 - step / steps). microgpt.py: the Adam loop.
struct adam_step adam_next(struct adam_schedule *schedule, uint32_t step, uint32_t steps, float learning_rate);

#endif
