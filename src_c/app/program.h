// SPDX-License-Identifier: MIT
// What the parts of the program share.
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>

#include "core/learner.h"

struct program {
    struct dataset dataset;
    struct banks banks;
    struct plan_request request; // what the model in memory was begun with
    struct learner learner;
    struct team team; // the cores that compute
    struct xoshiro aside; // draws what the console invents
    bool has_model;
    bool is_outdated; // settings have changed that only a new start can take
};
extern struct program program;

// The request that the settings make.
struct plan_request program_request(void);

// Whether a request fits; if not, prints why, behind `label`.
bool program_accepts(const struct plan_request *request, const char *label);

// A document's characters and a line end.
void print_document(const uint8_t *tokens, uint32_t length);

// The seed as the build and the console take it.
void print_seed(void);

#endif
