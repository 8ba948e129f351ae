// SPDX-License-Identifier: MIT
// adam_update, adam_update_large, adam_decay.                       twin: plain/adam.c    contract: kernels.h
//
// in     a2=w a3=first a4=second a5=g a6=length a7=step    adam_decay: a5=length a6=step
// live   a8 a9=bits of s, then of the estimate y  a10=bits of exact_below  a11=RSQRT_SEED  a13=weights left of a small pair
//        f0 f5=g, then first  f1 f6=s  f2 f7=y, then e + A  f3 f8=e, then e + C  f4 f9=(e + A)^2 + B, then w  f10 f12=u
//        f11=first_decay f13=scaled_rate f14=A f15=C     frame: B
// uses   f0-f15, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
// order  two weights side by side, 25 instructions each (large 24, decay 22): the first in f0 to f4 and f10, the second in f5
//        to f9 and f12. Constants that a sum starts from are loaded in place of a move, and what is stored is stored where the
//        last two operations would wait
#include "kernels/xtensa/kernel.h"

#define FRAME_B 0

    .section .literal.adam, "ax" // of all three
    .balign 4
.Lseed:
    .4byte  RSQRT_SEED_BITS
.La:
    .4byte  RSQRT_A_BITS
.Lb:
    .4byte  RSQRT_B_BITS
.Lc:
    .4byte  RSQRT_C_BITS
.Lscale:
    .4byte  RSQRT_SCALE_BITS
.Lreciprocal_seed:
    .4byte  RECIPROCAL_SEED_BITS

// One weight, in the registers of the first of a pair but for f9=w, up to the estimate; at \unchanged if it does not change and
// at \small if s is. Its moments are stored. Changes f4 a12.
.macro begin_weight gradient, compare, small, unchanged
    .if \gradient
    lsi     f1, a4, 0
    lsip    f0, a5, 4
    lsi     f4, a3, 0
    madd.s  f1, f0, f0
    madd.s  f0, f4, f11
    rfr     a8, f1
    ssip    f1, a4, 4
    .else
    lsi     f0, a3, 0
    l32i    a8, a4, 0
    mul.s   f0, f0, f11
    lsip    f1, a4, 4
    .endif
    ssip    f0, a3, 4
    lsi     f9, a2, 0
    .if \compare
    beqz    a8, \unchanged
    .endif
    srli    a12, a8, 1
    sub     a12, a11, a12
    wfr     f2, a12
    .if \compare
    bltu    a8, a10, \small
    .endif
.endm

// w of this weight by the fast formula. Changes f2 f3 f7 f8 f10.
.macro end_weight
    lsi     f3, a7, STEP_LIFTED_EPSILON
    madd.s  f3, f1, f2
    mul.s   f3, f3, f2
    add.s   f7, f3, f14
    lsi     f8, a1, FRAME_B
    madd.s  f8, f7, f7
    mul.s   f10, f0, f13
    mul.s   f10, f10, f2
    mul.s   f10, f10, f8
    add.s   f3, f3, f15
    madd.s  f9, f10, f3
.endm

// The same by the exact one. Changes f2 f3 f7 f8 a8 a12.
.macro end_small_weight
    mul.s   f3, f1, f2          // rsqrt32(s)
    mul.s   f3, f3, f2
    add.s   f7, f3, f14
    lsi     f8, a1, FRAME_B
    madd.s  f8, f7, f7
    l32r    a12, .Lscale
    wfr     f7, a12
    mul.s   f8, f7, f8
    add.s   f3, f3, f15
    mul.s   f8, f8, f3
    mul.s   f2, f2, f8          // y
    mul.s   f3, f1, f2          // root
    neg.s   f7, f3
    madd.s  f7, f1, f2          // lost
    const.s f8, 1
    msub.s  f8, f3, f2
    msub.s  f8, f7, f2          // residue
    const.s f7, 3
    mul.s   f7, f7, f2
    madd.s  f2, f7, f8          // rsqrt
    mul.s   f3, f1, f2          // sqrt32(s)
    const.s f7, 3
    mul.s   f7, f7, f2
    mov.s   f8, f1
    msub.s  f8, f3, f3
    madd.s  f3, f7, f8
    lsi     f7, a7, STEP_EPSILON
    add.s   f3, f3, f7
    rfr     a8, f3              // reciprocal32 of it
    l32r    a12, .Lreciprocal_seed
    sub     a12, a12, a8
    wfr     f2, a12
    .rept 4
    const.s f7, 1
    msub.s  f7, f3, f2
    mov.s   f8, f2
    madd.s  f2, f8, f7
    .endr
    lsi     f7, a7, STEP_RATE
    mul.s   f7, f7, f0
    msub.s  f9, f7, f2
.endm

// gradient: 1, or 0 where it is +0. compare: 1, or 0 where no s is small.
.macro adam_step gradient, compare
    l32r    a8, .Lb
    l32r    a9, .La
    l32r    a12, .Lc
    l32r    a11, .Lseed
    s32i    a8, a1, FRAME_B
    wfr     f14, a9
    wfr     f15, a12
    lsi     f11, a7, STEP_FIRST_DECAY
    lsi     f13, a7, STEP_SCALED_RATE
    .if \compare
    l32i    a10, a7, STEP_EXACT_BELOW
    .endif
    srli    a12, a6, 1
    loopnez a12, 2f
    // moments: s = second + g g, first = first_decay first + g; without a gradient s = second
    .if \gradient
    lsi     f1, a4, 0
    lsi     f6, a4, 4
    lsip    f0, a5, 4
    lsip    f5, a5, 4
    lsi     f4, a3, 0
    lsi     f9, a3, 4
    madd.s  f1, f0, f0
    madd.s  f6, f5, f5
    madd.s  f0, f4, f11
    madd.s  f5, f9, f11
    rfr     a8, f1
    rfr     a9, f6
    .else
    l32i    a8, a4, 0
    l32i    a9, a4, 4
    lsi     f0, a3, 0
    lsi     f5, a3, 4
    lsip    f1, a4, 4
    lsip    f6, a4, 4
    mul.s   f0, f0, f11
    mul.s   f5, f5, f11
    .endif
    // seed: y from the bits of s, unless one of the two is small
    .if \compare
    bltu    a8, a10, 3f
    bltu    a9, a10, 3f
    .endif
    srli    a8, a8, 1
    srli    a9, a9, 1
    sub     a8, a11, a8
    sub     a9, a11, a9
    wfr     f2, a8
    wfr     f7, a9
    // e = (lifted_epsilon + s y) y;  u = first scaled_rate y
    lsi     f3, a7, STEP_LIFTED_EPSILON
    lsi     f8, a7, STEP_LIFTED_EPSILON
    madd.s  f3, f1, f2
    madd.s  f8, f6, f7
    mul.s   f10, f0, f13
    mul.s   f12, f5, f13
    mul.s   f3, f3, f2
    mul.s   f8, f8, f7
    mul.s   f10, f10, f2
    mul.s   f12, f12, f7
    // the cubic in e: u ((e + A)^2 + B) (e + C)
    add.s   f2, f3, f14
    add.s   f7, f8, f14
    lsi     f4, a1, FRAME_B
    lsi     f9, a1, FRAME_B
    madd.s  f4, f2, f2
    madd.s  f9, f7, f7
    add.s   f3, f3, f15
    add.s   f8, f8, f15
    mul.s   f10, f10, f4
    mul.s   f12, f12, f9
    // w + that, and the moments are stored
    lsi     f4, a2, 0
    lsi     f9, a2, 4
    madd.s  f4, f10, f3
    madd.s  f9, f12, f8
    ssip    f0, a3, 4
    ssip    f5, a3, 4
    .if \gradient
    ssip    f1, a4, 4
    ssip    f6, a4, 4
    .endif
    ssip    f4, a2, 4
1:
    ssip    f9, a2, 4
2:
    extui   a12, a6, 0, 1
    movi    a13, 0
    bnez    a12, 4f
    retw

    .if \compare
3: // a pair again, weight by weight, each by the formula that its s demands
    .if \gradient
    addi    a5, a5, -8
    .else
    addi    a4, a4, -8
    .endif
    movi    a13, 2
    .endif
4: // a weight of such a pair; the last of an odd length
    begin_weight \gradient, \compare, 6f, 5f
    end_weight
5:
    .if \compare
    addi    a13, a13, -1
    beqz    a13, 1b
    ssip    f9, a2, 4
    bgei    a13, 1, 4b
    retw
6:
    end_small_weight
    j       5b
    .else
    ssi     f9, a2, 0
    retw
    .endif
.endm

FUNCTION(adam_update)
    entry   a1, 32
    adam_step 1, 1
END_FUNCTION(adam_update)

FUNCTION(adam_update_large)
    entry   a1, 32
    adam_step 1, 0
END_FUNCTION(adam_update_large)

FUNCTION(adam_decay)
    entry   a1, 32
    mov     a7, a6
    mov     a6, a5
    adam_step 0, 1
END_FUNCTION(adam_decay)
