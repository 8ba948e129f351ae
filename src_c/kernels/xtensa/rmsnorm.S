// SPDX-License-Identifier: MIT
// rmsnorm, rmsnorm_backward.                                     twin: plain/rmsnorm.c    contract: kernels.h
//
// rmsnorm            in a2=y a3=scale a4=x a5=rows a6=sizes
//             live   a8=width less one  a9=RSQRT_SEED a10=constants a11=x of the sum  a12=scratch
//                    a13=groups of 4 a14=elements beside them
//                    f0=sum, then 1 / root f1-f7=scratch f11=epsilon f12=mean f13=RSQRT_SCALE f14=A f15=C
//             order  5 instructions for an element, 31 for a row
// rmsnorm_backward   in a2=dx a3=dy a4=y a5=scale a6=rows a7=sizes
//             live   a8=width, a9=width less one  a10=dy a11=y of the sum  a12=pairs
//                    f0=sum, then projection f1 f6=dy f2 f7=y f3 f8=dx f4=scale f5=mean
//             order  9 instructions for an element, 15 for a row
// uses   f0-f15, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
#include "kernels/xtensa/kernel.h"

    .section .text.rmsnorm, "ax"
    .balign 4
.Lconstants:
#define EPSILON 0
#define SCALE 4
#define A 8
#define B 12
#define C 16
    .4byte  0x3727c5ac // RMSNORM_EPSILON
    .4byte  RSQRT_SCALE_BITS
    .4byte  RSQRT_A_BITS
    .4byte  RSQRT_B_BITS
    .4byte  RSQRT_C_BITS
.Lseed:
    .4byte  RSQRT_SEED_BITS
.Lconstants_address:
    .4byte  .Lconstants

FUNCTION(rmsnorm)
    entry   a1, 32
    l32r    a10, .Lconstants_address
    l32r    a9, .Lseed
    l32i    a7, a6, NORM_WIDTH
    lsi     f12, a6, NORM_MEAN
    addi    a8, a7, -1
    lsi     f11, a10, EPSILON
    lsi     f13, a10, SCALE
    lsi     f14, a10, A
    lsi     f15, a10, C
    srli    a13, a7, 2
    extui   a14, a7, 0, 2
.Lrow:
    mov     a11, a4
    lsip    f1, a11, 4
    mul.s   f0, f1, f1
    loopnez a8, .Lsquares
    lsip    f1, a11, 4
    madd.s  f0, f1, f1
.Lsquares:
    mov.s   f1, f11
    madd.s  f1, f0, f12         // the argument of rsqrt32
    rfr     a12, f1
    srli    a12, a12, 1
    sub     a12, a9, a12
    wfr     f2, a12             // seed
    mul.s   f3, f1, f2
    mul.s   f3, f3, f2          // e
    lsi     f5, a10, B
    add.s   f4, f3, f14
    madd.s  f5, f4, f4
    mul.s   f5, f13, f5
    add.s   f3, f3, f15
    mul.s   f5, f5, f3
    mul.s   f0, f2, f5          // y
    mul.s   f3, f1, f0          // root
    const.s f6, 1
    neg.s   f4, f3
    madd.s  f4, f1, f0          // lost
    msub.s  f6, f3, f0
    const.s f7, 3
    mul.s   f7, f7, f0
    msub.s  f6, f4, f0          // residue
    madd.s  f0, f7, f6
    ssip    f0, a3, 4
    loopnez a13, .Lscaled_fours
    lsip    f1, a4, 4
    lsip    f2, a4, 4
    lsip    f3, a4, 4
    lsip    f4, a4, 4
    mul.s   f1, f1, f0
    mul.s   f2, f2, f0
    mul.s   f3, f3, f0
    mul.s   f4, f4, f0
    ssip    f1, a2, 4
    ssip    f2, a2, 4
    ssip    f3, a2, 4
    ssip    f4, a2, 4
.Lscaled_fours:
    loopnez a14, .Lscaled
    lsip    f1, a4, 4
    mul.s   f1, f1, f0
    ssip    f1, a2, 4
.Lscaled:
    addi    a5, a5, -1
    bnez    a5, .Lrow
    retw
END_FUNCTION(rmsnorm)

FUNCTION(rmsnorm_backward)
    entry   a1, 32
    l32i    a8, a7, NORM_WIDTH
    lsi     f5, a7, NORM_MEAN
    addi    a9, a8, -1
    srli    a12, a8, 1
.Lgradient_row:
    mov     a10, a3
    mov     a11, a4
    lsip    f1, a10, 4
    lsip    f2, a11, 4
    lsip    f4, a5, 4
    mul.s   f0, f1, f2
    loopnez a9, .Lprojected
    lsip    f1, a10, 4
    lsip    f2, a11, 4
    madd.s  f0, f1, f2
.Lprojected:
    mul.s   f0, f0, f5
    loopnez a12, .Lgradient_pairs
    lsip    f1, a3, 4
    lsip    f2, a4, 4
    lsip    f6, a3, 4
    lsip    f7, a4, 4
    msub.s  f1, f2, f0
    msub.s  f6, f7, f0
    lsi     f3, a2, 0
    lsi     f8, a2, 4
    madd.s  f3, f1, f4
    madd.s  f8, f6, f4
    ssip    f3, a2, 4
    ssip    f8, a2, 4
.Lgradient_pairs:
    extui   a10, a8, 0, 1
    beqz    a10, .Lgradients
    lsip    f1, a3, 4
    lsip    f2, a4, 4
    lsi     f3, a2, 0
    msub.s  f1, f2, f0
    madd.s  f3, f1, f4
    ssip    f3, a2, 4
.Lgradients:
    addi    a6, a6, -1
    bnez    a6, .Lgradient_row
    retw
END_FUNCTION(rmsnorm_backward)
