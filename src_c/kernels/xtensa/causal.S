// SPDX-License-Identifier: MIT
// causal_nt, causal_nn, causal_tn: the products of attention over a triangle of scores.
//                                                               twin: plain/products.c    contract: kernels.h
//
// causal_nt   in     a2=y a3=x a4=w a5=first a6=last a7=sizes
//             live   a2=y a3=x of this row  a5=u of its last score  a6=rows left  a8 a9 a10=strides of y x w in bytes
//                    a11=depth  a12=y a13=w of this score  a14=x of this step  a15=w of this step
//                    f0 f5=sums f1-f4 f6 f7 f12=w f8-f11=x of a row whose depth is 4
//                    four scores at once: a12 a15=y a13 a11=w  a7=from their last step to the next two  f0-f3=sums f4 f5=w
//                    f8-f11 f12-f15=x of both rows
//             order  depth 4: two rows at once from an even one on, 28 instructions for four scores, 45 for two rows; a row
//                    alone 9 for a score, 15 for a row. Else 3 for a step and 9
// the others  in     a2=y a3=x a4=w a5=first a6=last a7=sizes (tn: a5=positions a6=sizes)
//             live   a2=y a3=x a4=w of this row's first step  a5=steps, less one; of two rows, those they share
//                    a6=rows left, less two  nn: a7=x_stride in bytes  a8=y_stride a9=step of x a10=w_stride in bytes  a11=columns left
//                    a12=x a13=w of this step  a14=w of these columns  a15=y    f0-f3 f4-f7=sums of both rows f8 f9=their x
//                    f10-f13=w    frame: columns, what moves x on to the next row
//             order  4 columns: 14 instructions for a step of two rows, 34 for two rows; 9 and 20 for the last alone
// uses   f0-f15, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
#include "kernels/xtensa/kernel.h"

// Scores of two neighbours u with two rows, each of depth 4.
.macro four_scores
    lsip    f4, a13, 4
    mul.s   f0, f8, f4
    mul.s   f2, f12, f4
    lsip    f5, a11, 4
    mul.s   f1, f8, f5
    mul.s   f3, f12, f5
    lsip    f4, a13, 4
    madd.s  f0, f9, f4
    madd.s  f2, f13, f4
    lsip    f5, a11, 4
    madd.s  f1, f9, f5
    madd.s  f3, f13, f5
    lsip    f4, a13, 4
    madd.s  f0, f10, f4
    madd.s  f2, f14, f4
    lsip    f5, a11, 4
    madd.s  f1, f10, f5
    madd.s  f3, f14, f5
    lsxp    f4, a13, a7
    madd.s  f0, f11, f4
    madd.s  f2, f15, f4
    lsxp    f5, a11, a7
    madd.s  f1, f11, f5
    madd.s  f3, f15, f5
.endm

FUNCTION(causal_nt)
    entry   a1, 32
    l32i    a8, a7, SIZES_Y_STRIDE
    l32i    a9, a7, SIZES_X_STRIDE
    l32i    a10, a7, SIZES_W_STRIDE
    l32i    a11, a7, SIZES_DEPTH
    slli    a8, a8, 2
    slli    a9, a9, 2
    slli    a10, a10, 2
    mull    a12, a5, a8
    mull    a13, a5, a9
    sub     a6, a6, a5
    add     a2, a2, a12
    add     a3, a3, a13
    beqz    a6, .Lscores_done
    addi    a11, a11, -4
    bnez    a11, .Lscores_of_any_depth

    addx2   a7, a10, a11 // a11 = 0
    addi    a7, a7, -12
.Lscores_of_depth_4:
    extui   a15, a5, 0, 1
    bnez    a15, .Lscore_row_4
    addi    a15, a6, -1
    beqz    a15, .Lscore_row_4
    lsi     f8, a3, 0
    lsi     f9, a3, 4
    lsi     f10, a3, 8
    lsi     f11, a3, 12
    add     a14, a3, a9
    lsi     f12, a14, 0
    lsi     f13, a14, 4
    lsi     f14, a14, 8
    lsi     f15, a14, 12
    mov     a12, a2
    add     a15, a2, a8
    mov     a13, a4
    add     a11, a4, a10
    srli    a14, a5, 1
    loopnez a14, .Lscored_fours
    four_scores
    ssip    f0, a12, 4
    ssip    f2, a15, 4
    ssip    f1, a12, 4
    ssip    f3, a15, 4
.Lscored_fours: // the last four without the one above the diagonal
    four_scores
    addi    a5, a5, 2
    addi    a6, a6, -2
    addx2   a2, a8, a2
    addx2   a3, a9, a3
    ssi     f0, a12, 0
    ssi     f2, a15, 0
    ssi     f3, a15, 4
    bnez    a6, .Lscores_of_depth_4
    retw

.Lscore_row_4: // alone: the first, if its number is odd, and what the pairs leave over
    mov     a12, a2
    mov     a13, a4
    lsi     f8, a3, 0
    lsi     f9, a3, 4
    lsi     f10, a3, 8
    lsi     f11, a3, 12
    addi    a5, a5, 1
    srli    a14, a5, 1
    loopnez a14, .Lscored_pairs
    lsi     f2, a13, 4
    lsi     f3, a13, 8
    lsi     f4, a13, 12
    lsxp    f1, a13, a10
    mul.s   f0, f8, f1
    lsi     f6, a13, 4
    lsi     f7, a13, 8
    lsi     f12, a13, 12
    madd.s  f0, f9, f2
    lsxp    f1, a13, a10
    mul.s   f5, f8, f1
    madd.s  f0, f10, f3
    madd.s  f5, f9, f6
    madd.s  f0, f11, f4
    madd.s  f5, f10, f7
    ssip    f0, a12, 4
    madd.s  f5, f11, f12
    ssip    f5, a12, 4
.Lscored_pairs:
    bbci    a5, 0, .Lscored_4
    lsi     f2, a13, 4
    lsi     f3, a13, 8
    lsi     f4, a13, 12
    lsi     f1, a13, 0
    mul.s   f0, f8, f1
    madd.s  f0, f9, f2
    madd.s  f0, f10, f3
    madd.s  f0, f11, f4
    ssi     f0, a12, 0
.Lscored_4:
    addi    a6, a6, -1
    add     a2, a2, a8
    add     a3, a3, a9
    bnez    a6, .Lscores_of_depth_4
.Lscores_done:
    retw

.Lscores_of_any_depth:
    addi    a11, a11, 3 // depth - 1
.Lscore_row:
    mov     a12, a2
    mov     a13, a4
    addi    a7, a5, 1
.Lscore:
    mov     a14, a3
    mov     a15, a13
    lsip    f1, a14, 4
    lsip    f2, a15, 4
    mul.s   f0, f1, f2
    loopnez a11, .Lscored
    lsip    f1, a14, 4
    lsip    f2, a15, 4
    madd.s  f0, f1, f2
.Lscored:
    addi    a7, a7, -1
    add     a13, a13, a10
    ssip    f0, a12, 4
    bnez    a7, .Lscore
    addi    a5, a5, 1
    addi    a6, a6, -1
    add     a2, a2, a8
    add     a3, a3, a9
    bnez    a6, .Lscore_row
    retw
END_FUNCTION(causal_nt)

#define MIX_X_SKIP 0
#define MIX_COLUMNS 4

// One step of 4 columns or 1: x times a row of w, onto one row of y (op_1=none), the next (op_0=none) or both.
.macro mix_step kind, columns, op_0, op_1
    .ifnc \op_1, none
    .ifc \kind, nn
    lsx     f9, a12, a7
    .else
    lsi     f9, a12, 4
    .endif
    .endif
    .ifnc \op_0, none
    lsxp    f8, a12, a9
    .endif
    .if \columns == 4
    lsi     f11, a13, 4
    mix_one 1, 5, f11, \op_0, \op_1
    lsi     f12, a13, 8
    mix_one 2, 6, f12, \op_0, \op_1
    lsi     f13, a13, 12
    mix_one 3, 7, f13, \op_0, \op_1
    .endif
    lsxp    f10, a13, a10
    mix_one 0, 4, f10, \op_0, \op_1
.endm

.macro mix_one sum_0, sum_1, w, op_0, op_1
    .ifnc \op_0, none
    \op_0   f\sum_0, f8, \w
    .endif
    .ifnc \op_1, none
    \op_1   f\sum_1, f9, \w
    .endif
.endm

// Columns of one row.
.macro mix_columns kind, columns
    mov     a12, a3
    mov     a13, a14
    mix_step \kind, \columns, mul.s, none
    loopnez a5, 9f
    mix_step \kind, \columns, madd.s, none
9:
    addi    a14, a14, 4 * \columns
    .if \columns == 4
    ssi     f1, a15, 4
    ssi     f2, a15, 8
    ssi     f3, a15, 12
    .endif
    ssi     f0, a15, 0
    addi    a15, a15, 4 * \columns
.endm

// Columns of two rows, of which nn takes one step more for the second, tn for the first; a5=steps for both, less one.
.macro mix_pair_columns kind, columns
    mov     a12, a3
    mov     a13, a14
    .ifc \kind, tn
    mix_step \kind, \columns, mul.s, none
    mix_step \kind, \columns, madd.s, mul.s
    .else
    mix_step \kind, \columns, mul.s, mul.s
    .endif
    loopnez a5, 9f
    mix_step \kind, \columns, madd.s, madd.s
9:
    .ifc \kind, nn
    mix_step \kind, \columns, none, madd.s
    .endif
    addi    a14, a14, 4 * \columns
    add     a13, a15, a8
    .if \columns == 4
    ssi     f1, a15, 4
    ssi     f2, a15, 8
    ssi     f3, a15, 12
    ssi     f5, a13, 4
    ssi     f6, a13, 8
    ssi     f7, a13, 12
    .endif
    ssi     f0, a15, 0
    ssi     f4, a13, 0
    addi    a15, a15, 4 * \columns
.endm

// All columns by \mix, 4 and then 1 at a time.
.macro mix_all_columns mix, kind
    l32i    a11, a1, MIX_COLUMNS
    mov     a14, a4
    mov     a15, a2
    addi    a11, a11, -4
    bltz    a11, 3f
2:
    \mix    \kind, 4
    addi    a11, a11, -4
    bgez    a11, 2b
3:
    addi    a11, a11, 4
    beqz    a11, 5f
4:
    \mix    \kind, 1
    addi    a11, a11, -1
    bnez    a11, 4b
5:
.endm

// All rows, two at a time; returns. From row to row the number of steps grows (nn) or shrinks (tn).
.macro mix_rows kind
    addi    a6, a6, -2
    bltz    a6, 7f
6:
    .ifc \kind, tn
    addi    a5, a5, -1
    .endif
    mix_all_columns mix_pair_columns, \kind
    l32i    a11, a1, MIX_X_SKIP
    addi    a6, a6, -2
    addx2   a2, a8, a2
    addx2   a3, a11, a3
    .ifc \kind, nn
    addi    a5, a5, 2
    .else
    addi    a5, a5, -1
    addx2   a4, a10, a4
    .endif
    bgez    a6, 6b
    addi    a6, a6, 2
    beqz    a6, 8f
7:
    mix_all_columns mix_columns, \kind
8:
    retw
.endm

FUNCTION(causal_nn)
    entry   a1, 32
    l32i    a8, a7, SIZES_Y_STRIDE
    l32i    a9, a7, SIZES_X_STRIDE
    l32i    a10, a7, SIZES_W_STRIDE
    l32i    a11, a7, SIZES_COLUMNS
    slli    a8, a8, 2
    slli    a7, a9, 2
    slli    a10, a10, 2
    s32i    a7, a1, MIX_X_SKIP
    s32i    a11, a1, MIX_COLUMNS
    mull    a12, a5, a8
    mull    a13, a5, a7
    sub     a6, a6, a5
    add     a2, a2, a12
    add     a3, a3, a13
    movi    a9, 4
    bnez    a6, .Lmix
    retw
.Lmix:
    mix_rows nn
END_FUNCTION(causal_nn)

FUNCTION(causal_tn)
    entry   a1, 32
    l32i    a8, a6, SIZES_Y_STRIDE
    l32i    a9, a6, SIZES_X_STRIDE
    l32i    a10, a6, SIZES_W_STRIDE
    l32i    a11, a6, SIZES_COLUMNS
    slli    a8, a8, 2
    slli    a9, a9, 2
    slli    a10, a10, 2
    addi    a12, a9, 4 // along the diagonal
    s32i    a11, a1, MIX_COLUMNS
    s32i    a12, a1, MIX_X_SKIP
    mov     a6, a5
    addi    a5, a5, -1
    mix_rows tn
END_FUNCTION(causal_tn)
