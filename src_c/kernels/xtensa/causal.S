// SPDX-License-Identifier: MIT
// causal_nt, causal_nn, causal_tn: the products of attention over a triangle of scores.
//                                                               twin: plain/products.c    contract: kernels.h
//
// causal_nt   in     a2=y a3=x a4=w a5=first a6=last a7=sizes
//             live   a2=y a3=x of this row  a5=u of its last score  a6=rows left  a8 a9 a10=strides of y x w in bytes
//                    a11=depth  a12=y a13=w of this score  a14=x of this step  a15=w of this step
//                    f0 f5=sums f1-f4 f6 f7 f12=w f8-f11=x of a row whose depth is 4
//             order  depth 4: 9 instructions for a score, 13 for a row; else 3 for a step and 9
// the others  in     a2=y a3=x a4=w a5=first a6=last a7=sizes (tn: a5=positions a6=sizes)
//             live   a2=y a3=x a4=w of this row's first step  a5=steps, less one  a6=rows left  a7=columns
//                    a8=y_stride a9=step of x a10=w_stride in bytes  a11=columns left  a12=x a13=w of this step
//                    a14=w of these columns  a15=y    f0-f3=sums f4=x f5-f8=w    frame: what moves x on to the next row
//             order  4 columns: 9 instructions for a step, 18 for a row
// uses   f0-f12, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
#include "kernels/xtensa/kernel.h"

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

.Lscores_of_depth_4:
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

// One step of 4 columns or 1: x times a row of w.
.macro mix_step columns, op
    lsxp    f4, a12, a9
    .if \columns == 4
    lsi     f6, a13, 4
    lsi     f7, a13, 8
    lsi     f8, a13, 12
    .endif
    lsxp    f5, a13, a10
    \op     f0, f4, f5
    .if \columns == 4
    \op     f1, f4, f6
    \op     f2, f4, f7
    \op     f3, f4, f8
    .endif
.endm

.macro mix_columns columns
    mov     a12, a3
    mov     a13, a14
    mix_step \columns, mul.s
    loopnez a5, 9f
    mix_step \columns, madd.s
9:
    addi    a14, a14, 4 * \columns
    ssip    f0, a15, 4
    .if \columns == 4
    ssip    f1, a15, 4
    ssip    f2, a15, 4
    ssip    f3, a15, 4
    .endif
.endm

// All rows; \towards the next row the number of steps grows (nn) or shrinks (tn).
.macro mix_rows towards
1:
    mov     a14, a4
    mov     a15, a2
    addi    a11, a7, -4
    bltz    a11, 3f
2:
    mix_columns 4
    addi    a11, a11, -4
    bgez    a11, 2b
3:
    addi    a11, a11, 4
    beqz    a11, 5f
4:
    mix_columns 1
    addi    a11, a11, -1
    bnez    a11, 4b
5:
    l32i    a11, a1, MIX_X_SKIP
    add     a2, a2, a8
    add     a3, a3, a11
    .ifc \towards, nn
    addi    a5, a5, 1
    .else
    addi    a5, a5, -1
    add     a4, a4, a10
    .endif
    addi    a6, a6, -1
    bnez    a6, 1b
    retw
.endm

FUNCTION(causal_nn)
    entry   a1, 32
    l32i    a8, a7, SIZES_Y_STRIDE
    l32i    a9, a7, SIZES_X_STRIDE
    l32i    a10, a7, SIZES_W_STRIDE
    l32i    a7, a7, SIZES_COLUMNS
    slli    a8, a8, 2
    slli    a9, a9, 2
    slli    a10, a10, 2
    s32i    a9, a1, MIX_X_SKIP
    mull    a12, a5, a8
    mull    a13, a5, a9
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
    l32i    a7, a6, SIZES_COLUMNS
    slli    a8, a8, 2
    slli    a9, a9, 2
    slli    a10, a10, 2
    addi    a12, a9, 4 // along the diagonal
    s32i    a12, a1, MIX_X_SKIP
    mov     a6, a5
    addi    a5, a5, -1
    mix_rows tn
END_FUNCTION(causal_tn)
