// SPDX-License-Identifier: MIT
// What every kernel in this folder begins and ends with, and what several of them share.
#ifndef XTENSA_KERNEL_H
#define XTENSA_KERNEL_H

#include "kernels/offsets.h"

#define FUNCTION(name) \
    .section .text.name, "ax"; \
    .balign 4; \
    .global name; \
    .type name, @function; \
    name:

#define END_FUNCTION(name) .size name, . - name

// Bits of constants of math/math32.h; the tests of equal bits tie them to it.
#define RSQRT_SEED_BITS 0x5f200000
#define RSQRT_SCALE_BITS 0xbf31b195
#define RSQRT_A_BITS 0xbf2ac38b
#define RSQRT_B_BITS 0x3fa7d88f
#define RSQRT_C_BITS 0xc000c4cb
#define RECIPROCAL_SEED_BITS 0x7ef311c7

// At the upper end of every frame: the registers a0 to a3 of the caller's caller, when its window is needed.
#define SAVE_AREA_BYTES 16

// Stack frame of the products (rows.h)
#define FRAME_ROWS 0
#define FRAME_Y 4
#define FRAME_COLUMNS 8
#define FRAME_Y_STRIDE 12
#define FRAME_X_STRIDE 16
#define FRAME_W_STRIDE 20
#define FRAME_W 24
#define FRAME_BYTES 48
#if FRAME_W + 4 + SAVE_AREA_BYTES > FRAME_BYTES
#error "the variables of the products reach into the save area of their frame"
#endif

#endif
