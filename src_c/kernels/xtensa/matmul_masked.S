// SPDX-License-Identifier: MIT
// matmul_nn_masked: y = x w where ReLU let something through, zero elsewhere.
//                                                          twin: plain/products.c    contract: kernels.h
//
// in     a2=y a3=x a4=w a5=active a6=rows a7=sizes
// live   a8=columns a9=steps, less one  a10=w_stride in bytes  a11=from a row's end to the next in y  a12=x_stride in bytes
//        a13=x of this step  a14=w of this step, scratch  a15=w of this column
//        f0=sum f1=x f2=w f3=0
// uses   f0-f3, LBEG/LEND/LCOUNT      stack 32 (leaf)      over-read 0
// order  one chain for each output, ascending. 7 instructions for a zero; else 3 for a step and 12
#include "kernels/xtensa/kernel.h"

#define MASKED_COLUMNS 0

FUNCTION(matmul_nn_masked)
    entry   a1, 32
    l32i    a8, a7, SIZES_COLUMNS
    l32i    a9, a7, SIZES_DEPTH
    l32i    a11, a7, SIZES_Y_STRIDE
    l32i    a12, a7, SIZES_X_STRIDE
    l32i    a10, a7, SIZES_W_STRIDE
    sub     a11, a11, a8
    addi    a9, a9, -1
    slli    a10, a10, 2
    slli    a11, a11, 2
    slli    a12, a12, 2
    const.s f3, 0
    s32i    a8, a1, MASKED_COLUMNS
.Lrow:
    mov     a15, a4
.Lcolumn:
    l32i    a14, a5, 0
    addi    a5, a5, 4
    addi    a8, a8, -1
    bnez    a14, .Lactive
    addi    a15, a15, 4
    ssip    f3, a2, 4
    bnez    a8, .Lcolumn
.Lrow_end:
    l32i    a8, a1, MASKED_COLUMNS
    addi    a6, a6, -1
    add     a2, a2, a11
    add     a5, a5, a11
    add     a3, a3, a12
    bnez    a6, .Lrow
    retw

.Lactive: // out of the way: most are not
    mov     a13, a3
    mov     a14, a15
    lsip    f1, a13, 4
    lsxp    f2, a14, a10
    mul.s   f0, f1, f2
    loopnez a9, .Lsummed
    lsip    f1, a13, 4
    lsxp    f2, a14, a10
    madd.s  f0, f1, f2
.Lsummed:
    addi    a15, a15, 4
    ssip    f0, a2, 4
    bnez    a8, .Lcolumn
    j       .Lrow_end
END_FUNCTION(matmul_nn_masked)
