// SPDX-License-Identifier: MIT
// Why a text, a model or a checkpoint is refused: half a sentence on the console, the same wherever the program runs.
#ifndef REFUSAL_H
#define REFUSAL_H

#include "core/checkpoint.h"
#include "core/dataset.h"
#include "core/plan.h"

// What dataset_open() found.
void print_dataset_error(enum dataset_error error);

// What shape_check() found; nothing for a shape that makes a model.
void print_shape_error(const struct model_shape *shape);

// How many bytes a plan lacks in these banks, and which smaller numbers would fit.
void print_missing_memory(const struct plan_request *request, const struct banks *banks);

// Why a checkpoint is none to go on from. request, banks: where it does not fit.
void print_checkpoint_error(enum checkpoint_error error, const struct plan_request *request, const struct banks *banks);

#endif
