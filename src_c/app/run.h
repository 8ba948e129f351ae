// SPDX-License-Identifier: MIT
// A run, in turns: training, the samples and the checksum, printed as microgpt.py prints them.
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/checkpoint.h"

// Starts anew with the settings as they are. The request that they make must fit.
void run_begin(void);

// Starts what is left of a run where weights are read where they lie, and nothing is trained: samples and checksum.
// program.request is to be of their shape, and for generation alone.
void run_offer(const float *weights);

// Starts anew from the weights of such a model, with fresh moments. The request that the settings make must be of its shape, and fit.
void run_begin_from_offered(void);

// What of a run a checkpoint keeps, and going on with it, when the learner is as it was. program.request is that of the learner.
void run_remember(struct checkpoint_run *kept); // less the options' identity
void run_resume(const struct checkpoint_run *kept);

// Milliseconds that a training step has taken, on average since the start; 0: not known.
float run_step_milliseconds(void);

// Training goes on for so many steps, or to its end.
void run_continue(uint32_t steps);

enum run_state {
    RUN_GOES_ON,
    RUN_PAUSES,
    RUN_IS_OVER,
    RUN_DIVERGED, // the last loss is not finite; of no more use
};

// One step, or one sample, or what ends the run.
enum run_state run_turn(void);

// What to say of RUN_DIVERGED.
extern const char run_divergence[];

// Says where training stands that was stopped.
void run_report_pause(void);

// Whether training has reached its end.
bool run_is_trained(void);

// One more name from the run's generator, or of a large model's name a token.
void run_stream(void);

#endif
