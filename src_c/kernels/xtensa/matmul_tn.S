// SPDX-License-Identifier: MIT
// matmul_tn: y = x^T w, the gradient of weights.                   twin: plain/products.c    contract: kernels.h
//
// in     a2=y a3=x a4=w a5=rows a6=depth a7=sizes
// live   rows.h has the table
// uses   f0-f15, LBEG/LEND/LCOUNT      stack 48 (leaf)      over-read 0
// order  one chain for each output, ascending; 12 of them in flight
// count  19 instructions for a step of 12 products; a 3x4 tile of 7 positions takes 154, 1.83 a product
#include "kernels/xtensa/kernel.h"

#define LOAD_X0(f) lsxp f, a5, a6
#define LOAD_X1(f) lsi f, a5, 4
#define LOAD_X2(f) lsi f, a5, 8
#define LOAD_W0(f) lsxp f, a7, a10
#define LOAD_W1(f) lsi f, a7, 4
#define LOAD_W2(f) lsi f, a7, 8
#define LOAD_W3(f) lsi f, a7, 12
#define LOAD_W4(f) lsi f, a7, 16
#define LOAD_W5(f) lsi f, a7, 20
#define LOAD_W6(f) lsi f, a7, 24
#define LOAD_W7(f) lsi f, a7, 28
#include "kernels/xtensa/tiles.h"

.macro begin_rows rows
    l32i    a8, a1, FRAME_W
.endm

.macro begin_columns columns
    mov     a5, a3
    mov     a7, a8
.endm

.macro end_tile rows, columns
    addi    a8, a8, 4 * \columns
    mov     a5, a3
    mov     a7, a8
.endm

.macro next_rows rows
    addi    a3, a3, 4 * \rows
.endm

#include "kernels/xtensa/rows.h"

FUNCTION(matmul_tn)
    entry   a1, FRAME_BYTES
    l32i    a8, a7, SIZES_COLUMNS
    l32i    a9, a7, SIZES_Y_STRIDE
    l32i    a11, a7, SIZES_X_STRIDE
    l32i    a10, a7, SIZES_W_STRIDE
    addi    a13, a6, -1
    slli    a9, a9, 2
    slli    a6, a11, 2
    slli    a10, a10, 2
    mov     a14, a5
    s32i    a5, a1, FRAME_ROWS
    s32i    a2, a1, FRAME_Y
    s32i    a8, a1, FRAME_COLUMNS
    s32i    a9, a1, FRAME_Y_STRIDE
    s32i    a4, a1, FRAME_W
    all_rows product, 3
END_FUNCTION(matmul_tn)
