// SPDX-License-Identifier: MIT
// relu, vector_zero, vector_add.                             twin: plain/elementwise.c    contract: kernels.h
//
// relu        in a2=x a3=length    live a4-a7=bits a8=0      4 at a time, 3.25 instructions for an element
// vector_zero in a2=y a3=length    live f0                   4 at a time, 1 instruction for an element
// vector_add  in a2=y a3=a a4=b a5=length    live f0-f7      4 at a time, 4 instructions for an element
// uses   f0-f7, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
#include "kernels/xtensa/kernel.h"

FUNCTION(relu)
    entry   a1, 32
    movi    a8, 0
    srli    a9, a3, 2
    extui   a3, a3, 0, 2
    loopnez a9, .Lfours
    l32i    a4, a2, 0
    l32i    a5, a2, 4
    l32i    a6, a2, 8
    l32i    a7, a2, 12
    max     a4, a4, a8
    max     a5, a5, a8
    max     a6, a6, a8
    max     a7, a7, a8
    s32i    a4, a2, 0
    s32i    a5, a2, 4
    s32i    a6, a2, 8
    s32i    a7, a2, 12
    addi    a2, a2, 16
.Lfours:
    loopnez a3, .Lones
    l32i    a4, a2, 0
    max     a4, a4, a8
    s32i    a4, a2, 0
    addi    a2, a2, 4
.Lones:
    retw
END_FUNCTION(relu)

FUNCTION(vector_zero)
    entry   a1, 32
    const.s f0, 0
    srli    a4, a3, 2
    extui   a3, a3, 0, 2
    loopnez a4, .Lfour_zeros
    ssip    f0, a2, 4
    ssip    f0, a2, 4
    ssip    f0, a2, 4
    ssip    f0, a2, 4
.Lfour_zeros:
    loopnez a3, .Lzeros
    ssip    f0, a2, 4
.Lzeros:
    retw
END_FUNCTION(vector_zero)

FUNCTION(vector_add)
    entry   a1, 32
    srli    a6, a5, 2
    loopnez a6, .Lfour_sums
    lsip    f0, a3, 4
    lsip    f1, a4, 4
    lsip    f2, a3, 4
    lsip    f3, a4, 4
    lsip    f4, a3, 4
    lsip    f5, a4, 4
    lsip    f6, a3, 4
    lsip    f7, a4, 4
    add.s   f0, f0, f1
    add.s   f2, f2, f3
    add.s   f4, f4, f5
    add.s   f6, f6, f7
    ssip    f0, a2, 4
    ssip    f2, a2, 4
    ssip    f4, a2, 4
    ssip    f6, a2, 4
.Lfour_sums:
    extui   a5, a5, 0, 2
    loopnez a5, .Lsums
    lsip    f0, a3, 4
    lsip    f1, a4, 4
    add.s   f0, f0, f1
    ssip    f0, a2, 4
.Lsums:
    retw
END_FUNCTION(vector_add)
