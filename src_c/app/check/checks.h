// SPDX-License-Identifier: MIT
// The parts of the command `check`, each of which can fail by itself.
#ifndef CHECKS_H
#define CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/learner.h"

enum verdict {
    VERDICT_RIGHT,
    VERDICT_WRONG,
    VERDICT_SKIPPED, // for want of memory that is free
};

// Memory in which nothing lives: what the model leaves of a bank, cut to words.
struct bank free_memory(uint32_t bank);

// The largest of it.
struct bank scratch_memory(void);

// Python's generator from seed 42: bits, normal numbers and a shuffle, against golden ones.
enum verdict check_random(void);

// Elementary functions, one by one, against golden bits; prints what differs.
enum { FUNCTIONS = 4 };
const char *function_name(uint32_t function);
enum verdict check_function(uint32_t function);

// What is checked on both cores, and the second one's part of it.
enum check_job { CHECK_KERNEL = LEARNER_JOBS, CHECK_BARRIERS };
void check_help(const struct worker *worker);

// A core's part of a job: its argument, and who it is.
struct kernel_check;
void kernel_share(struct kernel_check *check, const struct worker *worker);
struct torture;
void barriers_share(struct torture *torture, const struct worker *worker);

// What two cores write between barriers, each after a pseudo-random delay, must be there for the other behind the next. Each call
// goes through 2^13 barriers, so that a watchdog is fed in between; after BARRIER_CALLS the verdict is on a million.
enum { BARRIER_CALLS = 128 };
enum verdict check_barriers(uint32_t call);

// Kernels, one by one, against their plain twins on pseudo-random shapes and numbers, bit for bit, on each core.
uint32_t kernel_count(void);
const char *kernel_name(uint32_t kernel);
enum verdict check_kernel(uint32_t kernel);

// Gradients of a tensor, in the order of the parameters, against central differences of the loss of a document; prints the
// largest error beside what float32 allows. A model must be there; its weights and moments are as before afterwards.
uint32_t tensor_count(void);
void print_tensor_name(uint32_t tensor);
enum verdict check_gradient(uint32_t tensor);

// A bank of memory, where nothing lives, by a march test; prints where it fails.
enum verdict check_memory(uint32_t bank);

#endif
