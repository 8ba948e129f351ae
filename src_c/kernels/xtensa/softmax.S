// SPDX-License-Identifier: MIT
// softmax, softmax_backward.                                     twin: plain/softmax.c    contract: kernels.h
//
// softmax     in     a2=x a3=rows a4=length a5=sizes a6=bits of scale a7=bits of weight
//             live   a2=row a3=rows left a4=its length a14=stride, in bytes a15=growth
//                    a5=x of this pass  a6=pairs  a8=bits of greatest  a9=1 if the length is odd  a10=constants  a11 a12=bits
//                    a13=last x  f0 f3=argument, then remainder r  f1 f4=shifted, polynomial, power of 2
//                    f2 f5=polynomial, then e^x / 2 of the pair before  f6=sum
//                    f7=greatest f8=scale f9=EXP_LOWEST f10=log2(e) f11=ROUND_TO_INTEGER f12 f13=ln 2 f14=highest coefficient
//                    f15=1
//             order  greatest, as integers; e^x / 2, two side by side, and sum; product, where the halves cancel.
//                    2.5 (5 if all are negative) + 27 + 3 instructions for an element, 44 for a row
// softmax_backward   in a2=dy a3=y a4=rows a5=length a6=sizes a7=bits of scale
//             live   a2=row of dy a3=of y a4=rows left a5=its length a6=growth a11=stride, in bytes
//                    a8=dy a9=y of this pass a10=scratch      9 instructions for an element, 16 for a row
// uses   f0-f15, b0 b1, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
#include "kernels/xtensa/kernel.h"

    .section .text.softmax, "ax"
    .balign 4
.Lexp_constants: // of exp32 in math/math32.h, at these offsets
#define LOWEST 0
#define LOG2_E 4
#define ROUND_TO_INTEGER 8
#define LN2_HIGH 12
#define LN2_LOW 16 // negative in the sum
#define COEFFICIENT_6 20
#define COEFFICIENT_5 24
#define COEFFICIENT_4 28
#define COEFFICIENT_3 32
    .4byte  0xc2a00000
    .4byte  0x3fb8aa3b
    .4byte  0x4b400000 + 126 // even, so that ties go as in exp32; with n it is the biased exponent of 2^n / 2
    .4byte  0x3f317218
    .4byte  0x3102e308
    .4byte  0x3ab6dade
    .4byte  0x3c091e3c
    .4byte  0x3d2aaa2e
    .4byte  0x3e2aaa47
.Lconstants_address:
    .4byte  .Lexp_constants
.Lreciprocal_seed:
    .4byte  RECIPROCAL_SEED_BITS

FUNCTION(softmax)
    entry   a1, 32
    l32r    a10, .Lconstants_address
    l32i    a14, a5, SOFTMAX_STRIDE
    l32i    a15, a5, SOFTMAX_GROWTH
    wfr     f8, a6
    slli    a14, a14, 2
    lsi     f9, a10, LOWEST
    lsi     f10, a10, LOG2_E
    lsi     f11, a10, ROUND_TO_INTEGER
    lsi     f12, a10, LN2_HIGH
    lsi     f13, a10, LN2_LOW
    lsi     f14, a10, COEFFICIENT_6
    const.s f15, 1
.Lrow:
    srli    a6, a4, 1
    beqz    a6, .Lsingle
    addx4   a13, a4, a2
    addi    a13, a13, -4
    l32i    a8, a13, 0
    mov     a5, a2
    loop    a6, .Lgreatest // the greatest integer is the greatest float, unless all are negative
    l32i    a11, a5, 0
    l32i    a12, a5, 4
    addi    a5, a5, 8
    max     a8, a8, a11
    max     a8, a8, a12
.Lgreatest:
    bltz    a8, .Lall_negative
.Lgreatest_found:
    wfr     f7, a8
    extui   a9, a4, 0, 1
    const.s f6, 0
    const.s f2, 0
    const.s f5, 0
    mov     a5, a2
    loop    a6, .Lpairs
    // argument: (x - greatest) scale, not below EXP_LOWEST; meanwhile the pair before this one joins the sum
    lsi     f0, a5, 0
    lsi     f3, a5, 4
    sub.s   f0, f0, f7
    sub.s   f3, f3, f7
    lsi     f1, a10, ROUND_TO_INTEGER
    lsi     f4, a10, ROUND_TO_INTEGER
    mul.s   f0, f0, f8
    mul.s   f3, f3, f8
    add.s   f6, f6, f2
    olt.s   b0, f0, f9
    olt.s   b1, f3, f9
    add.s   f6, f6, f5
    movt.s  f0, f9, b0
    movt.s  f3, f9, b1
    // remainder: argument - n ln 2, where n, the exponent of the result, stays in the low bits of shifted
    madd.s  f1, f0, f10
    madd.s  f4, f3, f10
    sub.s   f2, f1, f11
    sub.s   f5, f4, f11
    rfr     a11, f1
    rfr     a12, f4
    msub.s  f0, f2, f12
    msub.s  f3, f5, f12
    slli    a11, a11, 23
    slli    a12, a12, 23
    madd.s  f0, f2, f13
    madd.s  f3, f5, f13
    // polynomial 1 + r + r^2 (1/2 + r (C3 + r (C4 + r (C5 + r C6))))
    lsi     f1, a10, COEFFICIENT_5
    lsi     f4, a10, COEFFICIENT_5
    madd.s  f1, f0, f14
    madd.s  f4, f3, f14
    lsi     f2, a10, COEFFICIENT_4
    lsi     f5, a10, COEFFICIENT_4
    madd.s  f2, f0, f1
    madd.s  f5, f3, f4
    lsi     f1, a10, COEFFICIENT_3
    lsi     f4, a10, COEFFICIENT_3
    madd.s  f1, f0, f2
    madd.s  f4, f3, f5
    const.s f2, 3
    const.s f5, 3
    madd.s  f2, f0, f1
    madd.s  f5, f3, f4
    mul.s   f1, f0, f0
    mul.s   f4, f3, f3
    madd.s  f0, f1, f2
    madd.s  f3, f4, f5
    wfr     f1, a11
    wfr     f4, a12
    add.s   f0, f0, f15
    add.s   f3, f3, f15
    // times 2^n / 2
    mul.s   f2, f0, f1
    mul.s   f5, f3, f4
    ssip    f2, a5, 4
    ssip    f5, a5, 4
.Lpairs:
    add.s   f6, f6, f2
    beqz    a9, .Lexponentials
    // the last of an odd length, in the same way
    lsi     f0, a5, 0
    lsi     f1, a10, ROUND_TO_INTEGER
    sub.s   f0, f0, f7
    mul.s   f0, f0, f8
    olt.s   b0, f0, f9
    movt.s  f0, f9, b0
    madd.s  f1, f0, f10
    sub.s   f2, f1, f11
    msub.s  f0, f2, f12
    rfr     a11, f1
    madd.s  f0, f2, f13
    lsi     f1, a10, COEFFICIENT_5
    madd.s  f1, f0, f14
    lsi     f2, a10, COEFFICIENT_4
    madd.s  f2, f0, f1
    lsi     f1, a10, COEFFICIENT_3
    madd.s  f1, f0, f2
    const.s f2, 3
    madd.s  f2, f0, f1
    mul.s   f1, f0, f0
    madd.s  f0, f1, f2
    add.s   f6, f6, f5
    slli    a11, a11, 23
    wfr     f1, a11
    add.s   f0, f0, f15
    mul.s   f5, f0, f1
    ssi     f5, a5, 0
.Lexponentials:
    add.s   f6, f6, f5
    // weight reciprocal32(sum)
    l32r    a8, .Lreciprocal_seed
    wfr     f3, a7
    rfr     a11, f6
    sub     a8, a8, a11
    wfr     f1, a8
    .rept 4
    const.s f2, 1
    msub.s  f2, f6, f1
    madd.s  f1, f1, f2
    .endr
    mul.s   f1, f3, f1
    mov     a5, a2
    loop    a6, .Lproduct_pairs
    lsi     f0, a5, 0
    lsi     f2, a5, 4
    mul.s   f0, f0, f1
    mul.s   f2, f2, f1
    ssip    f0, a5, 4
    ssip    f2, a5, 4
.Lproduct_pairs:
    beqz    a9, .Lrow_end
    lsi     f0, a5, 0
    mul.s   f0, f0, f1
    ssi     f0, a5, 0
.Lrow_end:
    addi    a3, a3, -1
    add     a2, a2, a14
    add     a4, a4, a15
    bnez    a3, .Lrow
    retw

.Lall_negative: // then the greatest float is the least integer
    l32i    a8, a13, 0
    mov     a5, a2
    loop    a6, .Lleast
    l32i    a11, a5, 0
    l32i    a12, a5, 4
    addi    a5, a5, 8
    minu    a8, a8, a11
    minu    a8, a8, a12
.Lleast:
    j       .Lgreatest_found

.Lsingle: // weight reciprocal32(exp32(0)), where both functions are exact
    s32i    a7, a2, 0
    j       .Lrow_end
END_FUNCTION(softmax)

FUNCTION(softmax_backward)
    entry   a1, 32
    l32i    a11, a6, SOFTMAX_STRIDE
    l32i    a6, a6, SOFTMAX_GROWTH
    wfr     f3, a7
    slli    a11, a11, 2
.Lgradient_row:
    mov     a8, a2
    mov     a9, a3
    lsip    f0, a8, 4
    lsip    f1, a9, 4
    addi    a10, a5, -1
    mul.s   f2, f0, f1
    loopnez a10, .Ldot
    lsip    f0, a8, 4
    lsip    f1, a9, 4
    madd.s  f2, f0, f1
.Ldot:
    srli    a10, a5, 1
    mov     a8, a2
    mov     a9, a3
    loopnez a10, .Lgradient_pairs
    lsi     f0, a8, 0
    lsi     f4, a8, 4
    lsip    f1, a9, 4
    lsip    f5, a9, 4
    sub.s   f0, f0, f2
    sub.s   f4, f4, f2
    mul.s   f0, f0, f1
    mul.s   f4, f4, f5
    mul.s   f0, f0, f3
    mul.s   f4, f4, f3
    ssip    f0, a8, 4
    ssip    f4, a8, 4
.Lgradient_pairs:
    bbci    a5, 0, .Lgradients
    lsi     f0, a8, 0
    lsi     f1, a9, 0
    sub.s   f0, f0, f2
    mul.s   f0, f0, f1
    mul.s   f0, f0, f3
    ssi     f0, a8, 0
.Lgradients:
    addi    a4, a4, -1
    add     a2, a2, a11
    add     a3, a3, a11
    add     a5, a5, a6
    bnez    a4, .Lgradient_row
    retw
END_FUNCTION(softmax_backward)
