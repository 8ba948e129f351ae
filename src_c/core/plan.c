// SPDX-License-Identifier: MIT
#include "core/plan.h"

#include <stdbool.h>

#include "core/team.h"
#include "kernels/kernels.h"

// Sizes stop at SATURATED instead of wrapping: a multiple of 4, and more than what is used of any bank.
#define SATURATED 0xFFFFFFFCu

static uint32_t times(uint32_t a, uint32_t b) { return a != 0 && b > SATURATED / a ? SATURATED : a * b; }

static uint32_t plus(uint32_t a, uint32_t b) { return b > SATURATED - a ? SATURATED : a + b; }

static uint32_t whole_words(uint32_t bytes) { return (bytes + 3) & ~3u; }

static uint32_t floats(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return times(sizeof(float), times(times(a, b), times(c, d)));
}

uint32_t plan_order_length(const struct plan_request *request) {
    return request->steps < request->documents ? request->steps : request->documents;
}

static void measure(struct plan *plan, const struct plan_request *request) {
    const uint32_t L = request->shape.n_layer;
    const uint32_t B = request->shape.block_size;
    const uint32_t E = request->shape.n_embd;
    const uint32_t H = request->shape.n_head;
    const uint32_t V = request->shape.vocab_size;
    const uint32_t P = shape_parameters(&request->shape);
    // For generation alone: of most activations one row, that of the position and the layer in hand, and of attention that of each
    // head; of all positions only what later ones need. Keys and values are apart then, so that each may have a bank.
    const bool generates = request->generates != 0;
    const uint32_t layers = generates ? 1 : L;
    const uint32_t rows = generates ? 1 : B;
    const uint32_t qkv_bytes = generates ? floats(E, 1, 1, 1) : floats(L, B, E, 3);
    const uint32_t kept_bytes = generates ? floats(L, B, E, 1) : 0;
    const uint32_t active_words = MOST_MEMBERS * ACTIVE_WORDS(rows);
    const uint32_t token_bytes = whole_words(B + 1);
    const uint32_t order_bytes = whole_words(2 * plan_order_length(request));
    const uint32_t shuffle_bytes = whole_words(2 * request->documents);
#define PLAN_BYTES(name, purpose, size, life) plan->place[ARRAY_##name].bytes = (size);
    ARRAYS(PLAN_BYTES)
#undef PLAN_BYTES
    for (uint32_t i = 0; generates && i < ARRAY_COUNT; ++i) {
        if (plan_purpose((enum array_id)i) != PURPOSE_ACTIVATIONS) {
            plan->place[i].bytes = 0;
        }
    }
}

#define PLAN_LIFE(name, purpose, size, life) (life),
static const uint16_t lives[ARRAY_COUNT] = {ARRAYS(PLAN_LIFE)};
#undef PLAN_LIFE

static uint32_t end_of(const struct place *place) { return plus(place->offset, place->bytes); }

static bool overlaps(const struct place *a, const struct place *b) {
    return a->bank == b->bank && a->offset < end_of(b) && b->offset < end_of(a);
}

// Moves array i up in its bank to where no earlier array that is alive with it lies.
static void rise(struct plan *plan, uint32_t i) {
    struct place *place = &plan->place[i];
    for (uint32_t j = 0; j < i; ++j) {
        const struct place *other = &plan->place[j];
        if ((lives[i] & lives[j]) != 0 && overlaps(place, other)) {
            place->offset = end_of(other);
            j = UINT32_MAX; // from the first again: it may have been passed
        }
    }
}

static uint32_t usable(const struct banks *banks, uint32_t bank) {
    const uint32_t bytes = bank < banks->count ? banks->bank[bank].bytes : 0;
    return bytes < SATURATED ? bytes : SATURATED - 4;
}

void plan_make(struct plan *plan, const struct plan_request *request, const struct banks *banks) {
    const uint32_t last = banks->count > 0 ? banks->count - 1 : 0;
    const uint32_t last_bytes = usable(banks, last);
    measure(plan, request);
    plan->missing = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT; ++i) {
        struct place *place = &plan->place[i];
        uint32_t end = 0;
        for (place->bank = 0;; ++place->bank) {
            place->offset = 0;
            rise(plan, i);
            end = end_of(place);
            if (place->bank == last || end <= usable(banks, place->bank)) {
                break;
            }
        }
        if (place->bank == last && end > last_bytes && end - last_bytes > plan->missing) {
            plan->missing = end - last_bytes;
        }
    }
}

uint32_t plan_missing(const struct plan_request *request, const struct banks *banks) {
    struct plan plan;
    plan_make(&plan, request, banks);
    return plan.missing;
}

// Bytes of array i that lie under no earlier one.
static uint32_t own_bytes(const struct plan *plan, uint32_t i) {
    const struct place *place = &plan->place[i];
    const uint32_t end = end_of(place);
    uint32_t own = 0;
    for (uint32_t at = place->offset; at < end;) {
        uint32_t covered_to = at;
        uint32_t free_to = end;
        for (uint32_t j = 0; j < i; ++j) {
            const struct place *other = &plan->place[j];
            const uint32_t other_end = end_of(other);
            if (other->bank != place->bank || other_end <= at) {
                continue;
            }
            if (other->offset > at) {
                free_to = other->offset < free_to ? other->offset : free_to;
            } else if (other_end > covered_to) {
                covered_to = other_end;
            }
        }
        own += covered_to > at ? 0 : free_to - at;
        at = covered_to > at ? covered_to : free_to;
    }
    return own;
}

enum purpose plan_purpose(enum array_id array) {
#define PLAN_PURPOSE(name, purpose, size, life) PURPOSE_##purpose,
    static const uint8_t purposes[ARRAY_COUNT] = {ARRAYS(PLAN_PURPOSE)};
#undef PLAN_PURPOSE
    return (enum purpose)purposes[array];
}

void plan_purposes(const struct plan *plan, uint32_t bytes[PURPOSE_COUNT]) {
    for (uint32_t p = 0; p < PURPOSE_COUNT; ++p) {
        bytes[p] = 0;
    }
    for (uint32_t i = 0; i < ARRAY_COUNT; ++i) {
        bytes[plan_purpose((enum array_id)i)] += own_bytes(plan, i);
    }
}

uint32_t plan_extent(const struct plan *plan, uint32_t bank) {
    uint32_t extent = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT; ++i) {
        const struct place *place = &plan->place[i];
        const uint32_t end = end_of(place);
        if (place->bank == bank && place->bytes > 0 && end > extent) {
            extent = end;
        }
    }
    return extent;
}

uint32_t plan_reduced(const struct plan_request *request, const struct banks *banks, enum reducible number) {
    struct plan_request smaller = *request;
    uint32_t *const values[REDUCIBLE_COUNT] = {
        [REDUCE_N_EMBD] = &smaller.shape.n_embd,
        [REDUCE_N_LAYER] = &smaller.shape.n_layer,
        [REDUCE_BLOCK_SIZE] = &smaller.shape.block_size,
        [REDUCE_STEPS] = &smaller.steps,
    };
    uint32_t *value = values[number];
    const uint32_t unit = number == REDUCE_N_EMBD ? smaller.shape.n_head : 1;
    uint32_t fits = 0; // in units; what is not tried yet lies above, and below what does not fit
    for (uint32_t too_large = *value / unit; too_large - fits > 1;) {
        const uint32_t middle = fits + (too_large - fits) / 2;
        *value = middle * unit;
        if (plan_missing(&smaller, banks) == 0) {
            fits = middle;
        } else {
            too_large = middle;
        }
    }
    return fits * unit;
}
