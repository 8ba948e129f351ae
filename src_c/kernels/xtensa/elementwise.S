// SPDX-License-Identifier: MIT
// relu, vector_zero, vector_add.                             twin: plain/elementwise.c    contract: kernels.h
//
// relu        in a2=x a3=active a4=rows a5=width
//             live a2=x a3=active of this element  a4=rows left  a6=bit of this row  a7=0 f0=0  a8 a9 a10-a13=scratch
//             4 at a time, 3.5 instructions for an element, 3 more if it is active
// vector_zero in a2=y a3=length    live f0                   4 at a time, 1 instruction for an element
// vector_add  in a2=y a3=a a4=b a5=length    live f0-f7      4 at a time, 4 instructions for an element
// uses   f0-f7, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
#include "kernels/xtensa/kernel.h"

// What lies above zero, \offset bytes from a2, keeps its value and is noted; then back to \next.
.macro note_active offset, next
    l32i    a10, a3, \offset
    or      a10, a10, a6
    s32i    a10, a3, \offset
    j       \next
.endm

FUNCTION(relu)
    entry   a1, 32
    movi    a7, 0
    const.s f0, 0
.Lword: // up to 32 rows
    mov     a8, a3
    loopnez a5, .Lcleared
    ssip    f0, a8, 4
.Lcleared:
    movi    a6, 1
    slli    a6, a6, 31
.Lrow:
    srli    a8, a5, 2
    extui   a9, a5, 0, 2
    loopnez a8, .Lfours
    l32i    a10, a2, 0
    l32i    a11, a2, 4
    l32i    a12, a2, 8
    l32i    a13, a2, 12
    bgei    a10, 1, .Lactive_0
    s32i    a7, a2, 0
.Lbehind_0:
    bgei    a11, 1, .Lactive_1
    s32i    a7, a2, 4
.Lbehind_1:
    bgei    a12, 1, .Lactive_2
    s32i    a7, a2, 8
.Lbehind_2:
    bgei    a13, 1, .Lactive_3
    s32i    a7, a2, 12
.Lbehind_3:
    addi    a2, a2, 16
    addi    a3, a3, 16
.Lfours:
    loopnez a9, .Lones
    l32i    a10, a2, 0
    bgei    a10, 1, .Lactive
    s32i    a7, a2, 0
.Lbehind:
    addi    a2, a2, 4
    addi    a3, a3, 4
.Lones:
    addi    a4, a4, -1
    beqz    a4, .Lrelu_done
    srli    a6, a6, 1
    beqz    a6, .Lword
    slli    a8, a5, 2
    sub     a3, a3, a8
    j       .Lrow
.Lrelu_done:
    retw
.Lactive_0: // out of the way: most are not
    note_active 0, .Lbehind_0
.Lactive_1:
    note_active 4, .Lbehind_1
.Lactive_2:
    note_active 8, .Lbehind_2
.Lactive_3:
    note_active 12, .Lbehind_3
.Lactive:
    note_active 0, .Lbehind
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
