// SPDX-License-Identifier: MIT
// adam_update: one Adam step on weights with a known gradient.       twin: plain/adam.c    contract: kernels.h
//
// in     a2=w a3=first a4=second a5=g a6=length a7=step
// live   a8 a9=bits of s, then of the estimate y  a10=bits of exact_below  a11=RSQRT_SEED
//        f0 f5=g, then first  f1 f6=s  f2 f7=y, then e + A  f3 f8=e, then e + C  f4 f9=(e + A)^2 + B, then w  f10 f12=u
//        f11=first_decay f13=scaled_rate f14=A f15=C     frame: B
// uses   f0-f15, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
// order  two weights side by side, 25 instructions each: the first in f0 to f4 and f10, the second in f5 to f9 and f12.
//        Constants that a sum starts from are loaded in place of a move, and the moments are stored where the last two
//        operations would wait
#include "kernels/xtensa/kernel.h"

#define FRAME_B 0

    .section .text.adam_update, "ax"
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

// Any weight, whatever its s: \w from \m, \s and its \bits. Changes f2 f3 f7 f8 f10 a12.
.macro any_weight w, m, s, bits
    beqz    \bits, 3f
    srli    a12, \bits, 1
    sub     a12, a11, a12
    wfr     f2, a12
    bltu    \bits, a10, 1f
    lsi     f3, a7, STEP_LIFTED_EPSILON
    madd.s  f3, \s, f2
    mul.s   f3, f3, f2
    add.s   f7, f3, f14
    lsi     f8, a1, FRAME_B
    madd.s  f8, f7, f7
    mul.s   f10, \m, f13
    mul.s   f10, f10, f2
    mul.s   f10, f10, f8
    add.s   f3, f3, f15
    madd.s  \w, f10, f3
    j       3f
1:
    mul.s   f3, \s, f2          // rsqrt32(s)
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
    mul.s   f3, \s, f2          // root
    neg.s   f7, f3
    madd.s  f7, \s, f2          // lost
    const.s f8, 1
    msub.s  f8, f3, f2
    msub.s  f8, f7, f2          // residue
    const.s f7, 3
    mul.s   f7, f7, f2
    madd.s  f2, f7, f8          // rsqrt
    mul.s   f3, \s, f2          // sqrt32(s)
    const.s f7, 3
    mul.s   f7, f7, f2
    mov.s   f8, \s
    msub.s  f8, f3, f3
    madd.s  f3, f7, f8
    lsi     f7, a7, STEP_EPSILON
    add.s   f3, f3, f7
    rfr     \bits, f3           // reciprocal32 of it
    l32r    a12, .Lreciprocal_seed
    sub     a12, a12, \bits
    wfr     f2, a12
    .rept 4
    const.s f7, 1
    msub.s  f7, f3, f2
    mov.s   f8, f2
    madd.s  f2, f8, f7
    .endr
    lsi     f7, a7, STEP_RATE
    mul.s   f7, f7, \m
    msub.s  \w, f7, f2
3:
.endm

FUNCTION(adam_update)
    entry   a1, 32
    l32r    a8, .Lb
    l32r    a9, .La
    l32r    a12, .Lc
    l32r    a11, .Lseed
    s32i    a8, a1, FRAME_B
    wfr     f14, a9
    wfr     f15, a12
    lsi     f11, a7, STEP_FIRST_DECAY
    lsi     f13, a7, STEP_SCALED_RATE
    l32i    a10, a7, STEP_EXACT_BELOW
    srli    a12, a6, 1
    loopnez a12, .Lpairs_end
    // moments: s = second + g g, first = first_decay first + g
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
    // seed: y from the bits of s, unless one of the two is small
    rfr     a8, f1
    rfr     a9, f6
    bltu    a8, a10, .Lsmall
    bltu    a9, a10, .Lsmall
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
    ssip    f1, a4, 4
    ssip    f6, a4, 4
.Lstore_pair:
    ssip    f4, a2, 4
    ssip    f9, a2, 4
.Lpairs_end:
    extui   a12, a6, 0, 1
    bnez    a12, .Llast
    retw

.Lsmall: // the pair one by one, each by the formula that its s demands
    ssip    f1, a4, 4
    ssip    f6, a4, 4
    ssip    f0, a3, 4
    ssip    f5, a3, 4
    lsi     f4, a2, 0
    lsi     f9, a2, 4
    any_weight f4, f0, f1, a8
    any_weight f9, f5, f6, a9
    j       .Lstore_pair

.Llast: // of an odd length
    lsi     f1, a4, 0
    lsi     f0, a5, 0
    lsi     f4, a3, 0
    madd.s  f1, f0, f0
    madd.s  f0, f4, f11
    rfr     a8, f1
    ssi     f1, a4, 0
    ssi     f0, a3, 0
    lsi     f4, a2, 0
    any_weight f4, f0, f1, a8
    ssi     f4, a2, 0
    retw
END_FUNCTION(adam_update)
