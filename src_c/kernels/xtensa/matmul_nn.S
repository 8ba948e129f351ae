// SPDX-License-Identifier: MIT
// matmul_nn: y = x w, the gradient of a layer's input.             twin: plain/products.c    contract: kernels.h
//
// in     a2=y a3=x a4=w a5=rows a6=sizes
// live   rows.h has the table
// uses   f0-f15, LBEG/LEND/LCOUNT      stack 48 (leaf)      over-read 0
// order  one chain for each output, ascending; 12 of them in flight
// count  19 instructions for a step of 12 products; a 4x3 tile of depth 16 takes 330, 1.72 a product
#include "kernels/xtensa/kernel.h"

#define LOAD_X0(f) lsip f, a3, 4
#define LOAD_X1(f) lsip f, a4, 4
#define LOAD_X2(f) lsip f, a5, 4
#define LOAD_X3(f) lsip f, a6, 4
#define LOAD_W0(f) lsxp f, a7, a10
#define LOAD_W1(f) lsi f, a7, 4
#define LOAD_W2(f) lsi f, a7, 8
#define LOAD_W3(f) lsi f, a7, 12
#define LOAD_W4(f) lsi f, a7, 16
#define LOAD_W5(f) lsi f, a7, 20
#define LOAD_W6(f) lsi f, a7, 24
#define LOAD_W7(f) lsi f, a7, 28
#include "kernels/xtensa/tiles.h"
#include "kernels/xtensa/x_rows.h"

.macro begin_rows rows
    point_at_rows \rows
    l32i    a8, a1, FRAME_W
.endm

.macro begin_columns columns
    mov     a7, a8
.endm

.macro end_tile rows, columns
    addi    a8, a8, 4 * \columns
    rewind_rows \rows
    mov     a7, a8
.endm

#include "kernels/xtensa/rows.h"

FUNCTION(matmul_nn)
    entry   a1, FRAME_BYTES
    l32i    a7, a6, SIZES_COLUMNS
    l32i    a13, a6, SIZES_DEPTH
    l32i    a8, a6, SIZES_Y_STRIDE
    l32i    a9, a6, SIZES_X_STRIDE
    l32i    a10, a6, SIZES_W_STRIDE
    slli    a15, a13, 2
    addi    a13, a13, -1
    slli    a8, a8, 2
    slli    a9, a9, 2
    slli    a10, a10, 2
    s32i    a5, a1, FRAME_ROWS
    s32i    a2, a1, FRAME_Y
    s32i    a7, a1, FRAME_COLUMNS
    s32i    a8, a1, FRAME_Y_STRIDE
    s32i    a9, a1, FRAME_X_STRIDE
    s32i    a4, a1, FRAME_W
    mov     a14, a5
    all_rows product, 4
END_FUNCTION(matmul_nn)
