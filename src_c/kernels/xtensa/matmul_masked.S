// SPDX-License-Identifier: MIT
// matmul_nn_masked: y = x w where ReLU let something through, zero elsewhere.
//                                                          twin: plain/products.c    contract: kernels.h
//
// First all of y is zero; then the active positions of a column are taken, two at a time, for their chains wait for
// themselves and share w. Positions beyond 32 come after those before them, in all columns.
// in     a2=y a3=x a4=w a5=active a6=rows a7=sizes
// live   a2=y a3=x of these 32 positions and this column  a4=w of the column  a5=its word  a6=columns left
//        a7=positions of the column to come  a8=steps, less one  a9=x_stride a11=w_stride in bytes
//        a12 a13=x of this step  a10 a15=y of the pair  a14=y_stride, then w of this step
//        f0 f4=sums f1 f2=x f3=w f5=0
// uses   f0-f5, SAR, LBEG/LEND/LCOUNT      stack 64 (leaf)      over-read 0
// order  one chain for each output, ascending. 1 instruction for each output, 9 for a column; 38 and 5 for a step for two
//        active positions, 27 and 3 for a step for a single one
#include "kernels/xtensa/kernel.h"

#define MASKED_Y 0
#define MASKED_X 4
#define MASKED_W 8
#define MASKED_ROWS 12
#define MASKED_COLUMNS 16
#define MASKED_Y_STRIDE 20
#define MASKED_ACTIVE 24
#define MASKED_FRAME_BYTES 64

// Takes the first position left: where its y and x stand. a14=y_stride.
.macro take y, x
    nsau    \y, a7
    movi    \x, 1
    slli    \x, \x, 31
    ssr     \y
    srl     \x, \x
    xor     a7, a7, \x
    mull    \x, \y, a9
    mull    \y, \y, a14
    add     \x, \x, a3
    add     \y, \y, a2
.endm

.macro step_of_pair op
    lsip    f1, a12, 4
    lsip    f2, a13, 4
    lsxp    f3, a14, a11
    \op     f0, f1, f3
    \op     f4, f2, f3
.endm

.macro step_of_one op
    lsip    f1, a12, 4
    lsxp    f3, a14, a11
    \op     f0, f1, f3
.endm

FUNCTION(matmul_nn_masked)
    entry   a1, MASKED_FRAME_BYTES
    l32i    a10, a7, SIZES_COLUMNS
    l32i    a8, a7, SIZES_DEPTH
    l32i    a14, a7, SIZES_Y_STRIDE
    l32i    a9, a7, SIZES_X_STRIDE
    l32i    a11, a7, SIZES_W_STRIDE
    addi    a8, a8, -1
    slli    a14, a14, 2
    slli    a9, a9, 2
    slli    a11, a11, 2
    s32i    a2, a1, MASKED_Y
    s32i    a3, a1, MASKED_X
    s32i    a4, a1, MASKED_W
    s32i    a10, a1, MASKED_COLUMNS
    s32i    a14, a1, MASKED_Y_STRIDE
    s32i    a5, a1, MASKED_ACTIVE
    const.s f5, 0
    mov     a12, a6
.Lzero_row:
    mov     a13, a2
    loopnez a10, .Lzeroed
    ssip    f5, a13, 4
.Lzeroed:
    addi    a12, a12, -1
    add     a2, a2, a14
    bnez    a12, .Lzero_row
.Lword:
    s32i    a6, a1, MASKED_ROWS
    l32i    a2, a1, MASKED_Y
    l32i    a6, a1, MASKED_COLUMNS
.Lcolumn:
    l32i    a7, a5, 0
    l32i    a14, a1, MASKED_Y_STRIDE
    addi    a5, a5, 4
    beqz    a7, .Lcolumn_end
.Lpair:
    take    a15, a12
    beqz    a7, .Lone
    take    a10, a13
    mov     a14, a4
    step_of_pair mul.s
    loopnez a8, .Lpair_summed
    step_of_pair madd.s
.Lpair_summed:
    l32i    a14, a1, MASKED_Y_STRIDE
    ssi     f0, a15, 0
    ssi     f4, a10, 0
    bnez    a7, .Lpair
.Lcolumn_end:
    addi    a6, a6, -1
    addi    a2, a2, 4
    addi    a4, a4, 4
    bnez    a6, .Lcolumn
    l32i    a6, a1, MASKED_ROWS
    addi    a6, a6, -32
    bgei    a6, 1, .Lnext_word
    retw

.Lone:
    mov     a14, a4
    step_of_one mul.s
    loopnez a8, .Lsummed
    step_of_one madd.s
.Lsummed:
    ssi     f0, a15, 0
    j       .Lcolumn_end

.Lnext_word: // 32 positions on
    l32i    a14, a1, MASKED_Y_STRIDE
    l32i    a2, a1, MASKED_Y
    l32i    a3, a1, MASKED_X
    l32i    a4, a1, MASKED_W
    l32i    a5, a1, MASKED_ACTIVE
    slli    a12, a14, 5
    slli    a13, a9, 5
    add     a2, a2, a12
    add     a3, a3, a13
    add     a5, a5, a14
    s32i    a2, a1, MASKED_Y
    s32i    a3, a1, MASKED_X
    s32i    a5, a1, MASKED_ACTIVE
    j       .Lword
END_FUNCTION(matmul_nn_masked)
