// SPDX-License-Identifier: MIT
// Where assembly finds the fields of the structs of kernels.h, in bytes; kernels.h asserts that they lie there.
#ifndef KERNELS_OFFSETS_H
#define KERNELS_OFFSETS_H

// struct matmul_sizes
#define SIZES_COLUMNS 0
#define SIZES_DEPTH 4
#define SIZES_Y_STRIDE 8
#define SIZES_X_STRIDE 12
#define SIZES_W_STRIDE 16

// struct rmsnorm_sizes
#define NORM_WIDTH 0
#define NORM_MEAN 4

// struct softmax_sizes
#define SOFTMAX_STRIDE 0
#define SOFTMAX_GROWTH 4

// struct adam_step
#define STEP_FIRST_DECAY 4
#define STEP_RATE 8
#define STEP_EPSILON 12
#define STEP_SCALED_RATE 16
#define STEP_LIFTED_EPSILON 20
#define STEP_EXACT_BELOW 24

#endif
