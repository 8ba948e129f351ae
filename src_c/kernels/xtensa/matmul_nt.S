// SPDX-License-Identifier: MIT
// matmul_nt, matmul_nt_add: y = x w^T, the forward product.       twin: plain/products.c    contract: kernels.h
//
// in     a2=y a3=x a4=w a5=rows a6=sizes
// live   rows.h has the table. Besides, where a single row takes 8 columns, w of columns 3 to 7 is in a6 a4 a5 a11 a14:
//        such a tile has no x of further rows, and y of one row needs no stride and no scratch
// uses   f0-f15, LBEG/LEND/LCOUNT      stack 48 (leaf)      over-read 0
// order  one chain for each output, ascending; 12 of them in flight
// count  19 instructions for a step of 12 products; a 4x3 tile of depth 16 takes 330, 1.72 a product; a single row 2.3
#include "kernels/xtensa/kernel.h"

#define LOAD_X0(f) lsip f, a3, 4
#define LOAD_X1(f) lsip f, a4, 4
#define LOAD_X2(f) lsip f, a5, 4
#define LOAD_X3(f) lsip f, a6, 4
#define LOAD_W0(f) lsip f, a7, 4
#define LOAD_W1(f) lsip f, a8, 4
#define LOAD_W2(f) lsip f, a9, 4
#define LOAD_W3(f) lsip f, a6, 4
#define LOAD_W4(f) lsip f, a4, 4
#define LOAD_W5(f) lsip f, a5, 4
#define LOAD_W6(f) lsip f, a11, 4
#define LOAD_W7(f) lsip f, a14, 4
#include "kernels/xtensa/tiles.h"
#include "kernels/xtensa/x_rows.h"

.macro begin_rows rows
    point_at_rows \rows
    l32i    a7, a1, FRAME_W
.endm

// a7 is the first column's w.
.macro begin_columns columns
    l32i    a10, a1, FRAME_W_STRIDE
    .if \columns > 1
    add     a8, a7, a10
    add     a9, a8, a10
    .endif
    .if \columns > 3
    add     a6, a9, a10
    .endif
    .if \columns > 4
    add     a4, a6, a10
    add     a5, a4, a10
    add     a11, a5, a10
    add     a14, a11, a10
    .endif
    .if \columns == 3
    addx2   a10, a10, a10
    .endif
    .if \columns == 4
    slli    a10, a10, 2
    .endif
    .if \columns == 8
    slli    a10, a10, 3
    .endif
    sub     a10, a10, a15
.endm

// Each pointer stands behind its row: x goes back, w on to the next columns.
.macro end_tile rows, columns
    rewind_rows \rows
    add     a7, a7, a10
    .if \columns > 1
    add     a8, a8, a10
    add     a9, a9, a10
    .endif
    .if \columns > 3
    add     a6, a6, a10
    .endif
    .if \columns > 4
    add     a4, a4, a10
    add     a5, a5, a10
    add     a11, a11, a10
    add     a14, a14, a10
    .endif
.endm

#include "kernels/xtensa/rows.h"

.macro product_nt start
    entry   a1, FRAME_BYTES
    l32i    a7, a6, SIZES_COLUMNS
    l32i    a13, a6, SIZES_DEPTH
    l32i    a8, a6, SIZES_Y_STRIDE
    l32i    a9, a6, SIZES_X_STRIDE
    l32i    a10, a6, SIZES_W_STRIDE
    slli    a15, a13, 2
    .ifc \start, product
    addi    a13, a13, -1
    .endif
    slli    a8, a8, 2
    slli    a9, a9, 2
    slli    a10, a10, 2
    s32i    a5, a1, FRAME_ROWS
    s32i    a2, a1, FRAME_Y
    s32i    a7, a1, FRAME_COLUMNS
    s32i    a8, a1, FRAME_Y_STRIDE
    s32i    a9, a1, FRAME_X_STRIDE
    s32i    a10, a1, FRAME_W_STRIDE
    s32i    a4, a1, FRAME_W
    mov     a14, a5
    all_rows \start, 4
.endm

FUNCTION(matmul_nt)
    product_nt product
END_FUNCTION(matmul_nt)

FUNCTION(matmul_nt_add)
    product_nt y
END_FUNCTION(matmul_nt_add)
