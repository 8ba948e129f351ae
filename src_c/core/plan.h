// SPDX-License-Identifier: MIT
// The memory plan: where every array of core/arrays.h lies, for a shape, a text, a number of steps and the memory there is.
//
// The rule: one array after the other, in the order of the list, takes the lowest free place of the first bank that has one.
// A place is free where no array lies that shares a phase of its life. Nothing else decides, so chip, build and host agree.
#ifndef PLAN_H
#define PLAN_H

#include <stdint.h>

#include "core/arrays.h"
#include "core/shape.h"

#define PLAN_ID(name, purpose, bytes, life) ARRAY_##name,
enum array_id { ARRAYS(PLAN_ID) ARRAY_COUNT };
#undef PLAN_ID

#define PLAN_ID(name, text) PURPOSE_##name,
enum purpose { PURPOSES(PLAN_ID) PURPOSE_COUNT };
#undef PLAN_ID

#define MOST_BANKS 4u
#define MOST_STEPS 10000000u

// A stretch of memory that the plan may fill, aligned to 4 bytes. A plan by itself looks at the length alone.
struct bank {
    void *start;
    uint32_t bytes;
};

struct banks {
    uint32_t count; // at most MOST_BANKS
    struct bank bank[MOST_BANKS];
};

// What a plan follows from, besides the banks.
struct plan_request {
    struct model_shape shape; // as shape_check() accepts it
    uint32_t documents;       // of the text: 1 to DATASET_MOST_DOCUMENTS
    uint32_t steps;           // of training: 1 to MOST_STEPS
    uint32_t generates;       // 1: nothing is trained, and the weights lie elsewhere: activations alone, of what forward() needs
};

struct place {
    uint32_t bank;
    uint32_t offset; // in bytes, from the bank's start
    uint32_t bytes;  // a multiple of 4
};

struct plan {
    struct place place[ARRAY_COUNT];
    uint32_t missing; // bytes that the last bank would have to be larger; 0: everything has its place. Beyond 4 GB only that there are any
};

// Lays the arrays out; with plan->missing > 0 some lie beyond the last bank. No banks are one bank of 0 bytes.
void plan_make(struct plan *plan, const struct plan_request *request, const struct banks *banks);

// plan->missing of the plan for a request; 0: it fits.
uint32_t plan_missing(const struct plan_request *request, const struct banks *banks);

// What an array is for.
enum purpose plan_purpose(enum array_id array);

// Bytes for each purpose. What several arrays share counts for the first of them in the list.
void plan_purposes(const struct plan *plan, uint32_t bytes[PURPOSE_COUNT]);

// Bytes from the start of a bank to the end of what lies in it.
uint32_t plan_extent(const struct plan *plan, uint32_t bank);

// Numbers of a request that can be made smaller until it fits.
enum reducible { REDUCE_N_EMBD, REDUCE_N_LAYER, REDUCE_BLOCK_SIZE, REDUCE_STEPS, REDUCIBLE_COUNT };

// The largest smaller value of one number with which the request fits, the rest as it is; 0: none.
uint32_t plan_reduced(const struct plan_request *request, const struct banks *banks, enum reducible number);

// Documents whose order is kept: those that training reaches.
uint32_t plan_order_length(const struct plan_request *request);

#endif
