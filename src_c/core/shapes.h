// SPDX-License-Identifier: MIT
// Sizes of the model's matrix products, shared by the forward and the backward pass.
#ifndef SHAPES_H
#define SHAPES_H

#include "core/model.h"
#include "kernels/kernels.h"

static const struct rmsnorm_shape embedding_norm = {.width = N_EMBD, .mean = 1.0f / N_EMBD};

// y[positions][outputs] = x[positions][inputs] * w[outputs][inputs]^T
#define FORWARD_SHAPE(inputs, outputs)                                                                                   \
    {.columns = (outputs), .depth = (inputs), .y_stride = (outputs), .x_stride = (inputs), .w_stride = (inputs)}

// dx[positions][inputs] = dy[positions][outputs] * w[outputs][inputs]
#define INPUT_GRADIENT_SHAPE(inputs, outputs)                                                                            \
    {.columns = (inputs), .depth = (outputs), .y_stride = (inputs), .x_stride = (outputs), .w_stride = (inputs)}

#endif
