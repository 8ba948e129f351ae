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

// Where the unit of gradients and moments is brought back by that factor, exactly.
#define ADAM_SCALE_LIMIT 0x1p20f

struct adam_schedule {
    float gradient_scale; // unit of the gradients of the next step, and of the moments once it is taken
    float scale_rest;     // what the unit lacks in float32, so that a thousand roundings do not add up
    float first_normaliser;   // what the moments would be if every gradient had been 1: bias correction divides by it
    float second_normaliser;
    float least_second;       // a bound for the second moments of the matrices from below, by adam_measure(); they only grow
};

// A schedule before step 0.
struct adam_schedule adam_begin(void);

// The constants of step number `step` (from 0) of `steps`; advances the schedule.
// Learning rate: learning_rate * (1 - step / steps). microgpt.py: the Adam loop.
struct adam_step adam_next(struct adam_schedule *schedule, uint32_t step, uint32_t steps, float learning_rate);

// Bounds the second moments of all matrices from below, after a step. As long as exact_below, which grows too, stays under the
// bound, steps are all_large; for some hundred steps, as a rule. Whoever writes second moments sets the bound to 0.
void adam_measure(struct adam_schedule *schedule, const struct adam_step *step, const float *second, uint32_t length);

// Keeps the unit of the moments in range after a step: once in 2,759 steps, divides both by powers of two.
void adam_rescale(struct adam_schedule *schedule, float *first, float *second, uint32_t length);

#endif
