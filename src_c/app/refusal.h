// SPDX-License-Identifier: MIT
// Why a text or a model is refused: half a sentence on the console, the same wherever the program runs.
#ifndef REFUSAL_H
#define REFUSAL_H

#include "core/dataset.h"
#include "core/plan.h"

// What dataset_open() found.
void print_dataset_error(enum dataset_error error);

// What shape_check() found; nothing for a shape that makes a model.
void print_shape_error(const struct model_shape *shape);

// How many bytes a plan lacks in these banks, and which smaller numbers would fit.
void print_missing_memory(const struct plan_request *request, const struct banks *banks);

#endif
