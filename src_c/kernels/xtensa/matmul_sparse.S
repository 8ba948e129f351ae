// SPDX-License-Identifier: MIT
// matmul_nt_add_sparse, matmul_nn_sparse, matmul_tn_sparse: products that leave out the zeros of x.
//                                                          twin: portable/matmul_sparse.c    contract: kernels.h
//
// in     a2=y a3=x a4=w a5=rows a6=shape (tn: a6=depth a7=shape)
// live   a2=y a3=x of this row and step  a4=w of the columns' first step  a5=rows left  a6=depth  a7=w of this step
//        nt: a8-a14=w_stride times 1 to 7   nn, tn: a8=w_stride, a9=x_stride   a15=bits of x, scratch
//        f0-f7=sums of 8 columns of one row  f14=w f15=x
// uses   f0-f7 f14 f15, LBEG/LEND/LCOUNT      stack 48 (leaf)      over-read 0
// order  one chain for each output, ascending. 8 columns: 4 instructions for a zero, 22 for another x, 24 for a row
#include "kernels/xtensa/kernel.h"

#define SPARSE_Y 0
#define SPARSE_X 4
#define SPARSE_ROWS 8
#define SPARSE_COLUMNS 12
#define SPARSE_Y_STRIDE 16
#define SPARSE_X_SKIP 20 // from behind a row's last step to the next row's first
#define SPARSE_W_STRIDE 24

// f\sum += x * w of column \number, which in nt lies \index bytes from the first.
.macro add_column kind, number, sum, index
    .ifc \kind, nt
    .if \number == 0
    lsi     f14, a7, 0
    .else
    lsx     f14, a7, \index
    .endif
    .else
    lsi     f14, a7, 4 * \number
    .endif
    madd.s  \sum, f15, f14
.endm

.macro start_column kind, number, sum
    .ifc \kind, nt
    lsi     \sum, a2, 4 * \number
    .else
    const.s \sum, 0
    .endif
.endm

// \columns columns of all rows.
.macro column_block kind, columns
    l32i    a8, a1, SPARSE_W_STRIDE
    .ifc \kind, nt
    .if \columns == 8
    add     a9, a8, a8
    add     a10, a9, a8
    add     a11, a9, a9
    add     a12, a11, a8
    add     a13, a10, a10
    add     a14, a13, a8
    .endif
    .endif
    l32i    a2, a1, SPARSE_Y
    l32i    a3, a1, SPARSE_X
    l32i    a5, a1, SPARSE_ROWS
1:
    mov     a7, a4
    start_column \kind, 0, f0
    .if \columns == 8
    start_column \kind, 1, f1
    start_column \kind, 2, f2
    start_column \kind, 3, f3
    start_column \kind, 4, f4
    start_column \kind, 5, f5
    start_column \kind, 6, f6
    start_column \kind, 7, f7
    .endif
    loopnez a6, 3f
    l32i    a15, a3, 0
    .ifc \kind, tn
    add     a3, a3, a9
    .else
    addi    a3, a3, 4
    .endif
    bnez    a15, 4f
2:
    .ifc \kind, nt
    addi    a7, a7, 4
    .else
    add     a7, a7, a8
    .endif
3:
    ssi     f0, a2, 0
    .if \columns == 8
    ssi     f1, a2, 4
    ssi     f2, a2, 8
    ssi     f3, a2, 12
    ssi     f4, a2, 16
    ssi     f5, a2, 20
    ssi     f6, a2, 24
    ssi     f7, a2, 28
    .endif
    l32i    a15, a1, SPARSE_Y_STRIDE
    addi    a5, a5, -1
    add     a2, a2, a15
    l32i    a15, a1, SPARSE_X_SKIP
    add     a3, a3, a15
    bnez    a5, 1b
    l32i    a2, a1, SPARSE_Y
    .ifc \kind, nt
    .if \columns == 8
    add     a4, a4, a14
    .endif
    add     a4, a4, a8
    .else
    addi    a4, a4, 4 * \columns
    .endif
    addi    a2, a2, 4 * \columns
    s32i    a2, a1, SPARSE_Y
    j       5f
4: // out of the way: most of x is zero
    wfr     f15, a15
    add_column \kind, 0, f0, a8
    .if \columns == 8
    add_column \kind, 1, f1, a8
    add_column \kind, 2, f2, a9
    add_column \kind, 3, f3, a10
    add_column \kind, 4, f4, a11
    add_column \kind, 5, f5, a12
    add_column \kind, 6, f6, a13
    add_column \kind, 7, f7, a14
    .endif
    j       2b
5:
.endm

// \shape holds the shape, a6 the depth, a8 what is to be SPARSE_X_SKIP.
.macro sparse_product kind, shape
    l32i    a10, \shape, SHAPE_COLUMNS
    l32i    a11, \shape, SHAPE_Y_STRIDE
    l32i    a12, \shape, SHAPE_W_STRIDE
    slli    a11, a11, 2
    slli    a12, a12, 2
    s32i    a2, a1, SPARSE_Y
    s32i    a3, a1, SPARSE_X
    s32i    a5, a1, SPARSE_ROWS
    s32i    a11, a1, SPARSE_Y_STRIDE
    s32i    a8, a1, SPARSE_X_SKIP
    s32i    a12, a1, SPARSE_W_STRIDE
    addi    a10, a10, -8
    bltz    a10, 16f
15:
    s32i    a10, a1, SPARSE_COLUMNS
    column_block \kind, 8
    l32i    a10, a1, SPARSE_COLUMNS
    addi    a10, a10, -8
    bgez    a10, 15b
16:
    addi    a10, a10, 8
    beqz    a10, 18f
17:
    s32i    a10, a1, SPARSE_COLUMNS
    column_block \kind, 1
    l32i    a10, a1, SPARSE_COLUMNS
    addi    a10, a10, -1
    bnez    a10, 17b
18:
    retw
.endm

.macro sparse_forward kind
    entry   a1, FRAME_BYTES
    mov     a9, a6
    l32i    a8, a9, SHAPE_X_STRIDE
    l32i    a6, a9, SHAPE_DEPTH
    sub     a8, a8, a6
    slli    a8, a8, 2
    mov     a15, a9
    sparse_product \kind, a15
.endm

FUNCTION(matmul_nt_add_sparse)
    sparse_forward nt
END_FUNCTION(matmul_nt_add_sparse)

FUNCTION(matmul_nn_sparse)
    sparse_forward nn
END_FUNCTION(matmul_nn_sparse)

FUNCTION(matmul_tn_sparse)
    entry   a1, FRAME_BYTES
    l32i    a9, a7, SHAPE_X_STRIDE
    mov     a15, a7
    slli    a9, a9, 2
    mull    a8, a9, a6
    movi    a10, 4
    sub     a8, a10, a8
    sparse_product tn, a15
END_FUNCTION(matmul_tn_sparse)
