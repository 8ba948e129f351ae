// SPDX-License-Identifier: MIT
// rmsnorm, rmsnorm_backward.                                     twin: plain/rmsnorm.c    contract: kernels.h
//
// rmsnorm            in a2=y a3=scale a4=x a5=rows a6=sizes
//             live   a5=rows left, less two  a8=width less one  a9=RSQRT_SEED a10=constants a11 a7=x of the sum  a12 a7=bits
//                    a13=groups of 4 a14=elements beside them  a15=bytes of a row
//                    f0 f5=sum, then 1 / root f1-f4 f6-f9=scratch f11=epsilon f12=mean f13=RSQRT_SCALE f14=A f15=C
//             order  two rows side by side, the last of an odd number alone. 5 instructions for an element, 31 for a row
// rmsnorm_backward   in a2=dx a3=dy a4=y a5=scale a6=rows a7=sizes
//             live   a6=rows left, less two  a8=width, a9=width less one  a10 a13=dy a11 a14=y of the sum  a12=pairs
//                    a15=bytes of a row
//                    f0 f9=sum, then projection f1 f6=dy f2 f7=y f3 f8=dx f4 f10=scale f5=mean
//             order  sums of two rows side by side, the last of an odd number alone. 9 instructions for an element, 13 for a row
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

// A row, and on to the next.
.macro scale_row scale
    loopnez a13, 1f
    lsip    f1, a4, 4
    lsip    f2, a4, 4
    lsip    f3, a4, 4
    lsip    f4, a4, 4
    mul.s   f1, f1, \scale
    mul.s   f2, f2, \scale
    mul.s   f3, f3, \scale
    mul.s   f4, f4, \scale
    ssip    f1, a2, 4
    ssip    f2, a2, 4
    ssip    f3, a2, 4
    ssip    f4, a2, 4
1:
    loopnez a14, 2f
    lsip    f1, a4, 4
    mul.s   f1, f1, \scale
    ssip    f1, a2, 4
2:
.endm

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
    slli    a15, a7, 2
    addi    a5, a5, -2
    bltz    a5, .Llast_row
.Lrow_pair:
    mov     a11, a4
    add     a7, a4, a15
    lsip    f1, a11, 4
    lsip    f6, a7, 4
    mul.s   f0, f1, f1
    mul.s   f5, f6, f6
    loopnez a8, .Lsquares_of_pair
    lsip    f1, a11, 4
    lsip    f6, a7, 4
    madd.s  f0, f1, f1
    madd.s  f5, f6, f6
.Lsquares_of_pair:
    mov.s   f1, f11
    mov.s   f6, f11
    madd.s  f1, f0, f12         // the argument of rsqrt32
    madd.s  f6, f5, f12
    lsi     f0, a10, B
    lsi     f5, a10, B
    rfr     a12, f1
    rfr     a7, f6
    srli    a12, a12, 1
    srli    a7, a7, 1
    sub     a12, a9, a12
    sub     a7, a9, a7
    wfr     f2, a12             // seed
    wfr     f7, a7
    mul.s   f3, f1, f2
    mul.s   f8, f6, f7
    mul.s   f3, f3, f2          // e
    mul.s   f8, f8, f7
    add.s   f4, f3, f14
    add.s   f9, f8, f14
    madd.s  f0, f4, f4
    madd.s  f5, f9, f9
    add.s   f3, f3, f15
    add.s   f8, f8, f15
    mul.s   f0, f13, f0
    mul.s   f5, f13, f5
    mul.s   f0, f0, f3
    mul.s   f5, f5, f8
    mul.s   f0, f2, f0          // y
    mul.s   f5, f7, f5
    const.s f2, 1
    const.s f7, 1
    mul.s   f3, f1, f0          // root
    mul.s   f8, f6, f5
    neg.s   f4, f3
    neg.s   f9, f8
    msub.s  f2, f3, f0
    msub.s  f7, f8, f5
    madd.s  f4, f1, f0          // lost
    madd.s  f9, f6, f5
    const.s f3, 3
    const.s f8, 3
    mul.s   f3, f3, f0
    mul.s   f8, f8, f5
    msub.s  f2, f4, f0          // residue
    msub.s  f7, f9, f5
    madd.s  f0, f3, f2
    madd.s  f5, f8, f7
    addi    a5, a5, -2
    ssip    f0, a3, 4
    ssip    f5, a3, 4
    scale_row f0
    scale_row f5
    bgez    a5, .Lrow_pair
.Llast_row:
    addi    a5, a5, 2
    bnez    a5, .Lrow
    retw
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
    scale_row f0
    retw
END_FUNCTION(rmsnorm)

// A row, two elements at a time, and on to the next.
.macro gradient_row projection, scale
    loopnez a12, 1f
    lsip    f1, a3, 4
    lsip    f2, a4, 4
    lsip    f6, a3, 4
    lsip    f7, a4, 4
    msub.s  f1, f2, \projection
    msub.s  f6, f7, \projection
    lsi     f3, a2, 0
    lsi     f8, a2, 4
    madd.s  f3, f1, \scale
    madd.s  f8, f6, \scale
    ssip    f3, a2, 4
    ssip    f8, a2, 4
1:
    bbci    a8, 0, 2f
    lsip    f1, a3, 4
    lsip    f2, a4, 4
    lsi     f3, a2, 0
    msub.s  f1, f2, \projection
    madd.s  f3, f1, \scale
    ssip    f3, a2, 4
2:
.endm

FUNCTION(rmsnorm_backward)
    entry   a1, 32
    l32i    a8, a7, NORM_WIDTH
    lsi     f5, a7, NORM_MEAN
    addi    a9, a8, -1
    srli    a12, a8, 1
    slli    a15, a8, 2
    addi    a6, a6, -2
    bltz    a6, .Llast_gradient_row
.Lgradient_row_pair:
    mov     a10, a3
    mov     a11, a4
    add     a13, a3, a15
    add     a14, a4, a15
    lsip    f1, a10, 4
    lsip    f2, a11, 4
    lsip    f6, a13, 4
    lsip    f7, a14, 4
    mul.s   f0, f1, f2
    mul.s   f9, f6, f7
    loopnez a9, .Lprojected_pair
    lsip    f1, a10, 4
    lsip    f2, a11, 4
    lsip    f6, a13, 4
    lsip    f7, a14, 4
    madd.s  f0, f1, f2
    madd.s  f9, f6, f7
.Lprojected_pair:
    lsip    f4, a5, 4
    lsip    f10, a5, 4
    addi    a6, a6, -2
    mul.s   f0, f0, f5
    mul.s   f9, f9, f5
    gradient_row f0, f4
    gradient_row f9, f10
    bgez    a6, .Lgradient_row_pair
.Llast_gradient_row:
    addi    a6, a6, 2
    bnez    a6, .Lgradient_row
    retw
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
    gradient_row f0, f4
    retw
END_FUNCTION(rmsnorm_backward)
