// SPDX-License-Identifier: MIT
// matmul_tn_sparse, matmul_tn_sparse_w: gradients of the weights on either side of ReLU.
//                                                                twin: plain/products.c    contract: kernels.h
//
// One of x and w is sparse, each column of it a unit; the sums run over a unit's active positions.
// in     a2=y a3=x a4=w a5=active a6=rows a7=sizes
// uses   f0-f10 f14 f15, SAR, LBEG/LEND/LCOUNT      stack 48 (leaf)      over-read 0
// order  one chain for each output, ascending
//
// matmul_tn_sparse, up to 32 positions: unit by unit, one or two of its positions at a time, which walk over all columns, 4 at a
// time. The first ones begin the sums, the others add to y.
// live   a2=row of y  a3=x of the unit  a4=w  a5=its word  a6=units left  a7=its positions to come  a8=w_stride a9=x_stride in
//        bytes  a10=columns / 4  a11=bit of position 0  a12=y a14 a15=w of these columns  a13=scratch
//        f0-f3=sums f4=w f8=0 f9 f10=x of the positions
// count  12 instructions for 4 columns of one position, 20 of two, 8 more if not the first; 8 for a position, 12 for a unit
//
// matmul_tn_sparse_w, and more positions: 8 columns (or 1) of the dense one at a time, for which the sums of a unit are taken.
// live   a2=y of this unit and these columns  a3=first of the unit's column  a4=these columns of the dense one  a5=word of the
//        unit  a6=units left  a7=its positions to come  a8=stride of the dense a9=of the sparse one a10=of y, in bytes
//        a11=words of a unit, less one  a12 a13=scratch  a14=sparse a15=dense of the next position
//        f0-f7=sums f8=0 f14=dense f15=sparse
// count  8 columns: 26 instructions for a position, 19 for a unit
#include "kernels/xtensa/kernel.h"

#define UNIT_Y 0
#define UNIT_SPARSE 4
#define UNIT_ACTIVE 8
#define UNIT_COUNT 12
#define UNIT_COLUMNS 16
#define UNIT_WORDS_DONE 20 // behind the first; 0 between units

// To the first position left, which is left no longer.
.macro next_position
    nsau    a13, a7
    ssl     a13
    mull    a12, a13, a9
    mull    a13, a13, a8
    sll     a7, a7
    add     a14, a14, a12
    slli    a7, a7, 1
    add     a15, a15, a13
.endm

.macro add_position op, columns
    lsxp    f15, a14, a9
    .if \columns == 8
    lsi     f14, a15, 4
    \op     f1, f15, f14
    lsi     f14, a15, 8
    \op     f2, f15, f14
    lsi     f14, a15, 12
    \op     f3, f15, f14
    lsi     f14, a15, 16
    \op     f4, f15, f14
    lsi     f14, a15, 20
    \op     f5, f15, f14
    lsi     f14, a15, 24
    \op     f6, f15, f14
    lsi     f14, a15, 28
    \op     f7, f15, f14
    .endif
    lsxp    f14, a15, a8
    \op     f0, f15, f14
.endm

// Stores a unit's sums, which stand side by side in y (down=0) or one below the other, and goes on to the next unit at \next.
.macro end_unit down, columns, next, f0, f1, f2, f3, f4, f5, f6, f7
    .if \down
    mov     a13, a2
    ssxp    \f0, a13, a10
    .if \columns == 8
    ssxp    \f1, a13, a10
    ssxp    \f2, a13, a10
    ssxp    \f3, a13, a10
    ssxp    \f4, a13, a10
    ssxp    \f5, a13, a10
    ssxp    \f6, a13, a10
    ssxp    \f7, a13, a10
    .endif
    addi    a2, a2, 4
    .else
    .if \columns == 8
    ssi     \f1, a2, 4
    ssi     \f2, a2, 8
    ssi     \f3, a2, 12
    ssi     \f4, a2, 16
    ssi     \f5, a2, 20
    ssi     \f6, a2, 24
    ssi     \f7, a2, 28
    .endif
    ssi     \f0, a2, 0
    add     a2, a2, a10
    .endif
    addi    a6, a6, -1
    addi    a3, a3, 4
    addi    a5, a5, 4
    bnez    a6, \next
.endm

// The next word of the unit that has positions: to \found, or to \none when there is no such word.
.macro next_word found, none
8:
    l32i    a12, a1, UNIT_WORDS_DONE
    addi    a13, a12, 1
    bne     a12, a11, 9f
    movi    a13, 0
    s32i    a13, a1, UNIT_WORDS_DONE
    j       \none
9:
    s32i    a13, a1, UNIT_WORDS_DONE
    mull    a12, a13, a9
    add     a12, a12, a5
    l32i    a7, a12, 0
    beqz    a7, 8b
    slli    a13, a13, 5
    mull    a12, a13, a9
    mull    a13, a13, a8
    add     a14, a3, a12
    add     a15, a4, a13
    j       \found
.endm

// All units for these columns of the dense one.
.macro all_units down, columns
    l32i    a2, a1, UNIT_Y
    l32i    a3, a1, UNIT_SPARSE
    l32i    a5, a1, UNIT_ACTIVE
    l32i    a6, a1, UNIT_COUNT
1:
    l32i    a7, a5, 0
    mov     a14, a3
    mov     a15, a4
    bnez    a7, 3f
    bnez    a11, 6f
2:
    end_unit \down, \columns, 1b, f8, f8, f8, f8, f8, f8, f8, f8
    j       10f
3:
    next_position
    add_position mul.s, \columns
    beqz    a7, 5f
4:
    next_position
    add_position madd.s, \columns
    bnez    a7, 4b
5:
    bnez    a11, 7f
11:
    end_unit \down, \columns, 1b, f0, f1, f2, f3, f4, f5, f6, f7
    j       10f
6:
    next_word 3b, 2b
7:
    next_word 4b, 11b
10:
    l32i    a2, a1, UNIT_Y
    addi    a4, a4, 4 * \columns
    .if \down == 0
    addi    a2, a2, 4 * \columns
    .elseif \columns == 8
    addx8   a2, a10, a2
    .else
    add     a2, a2, a10
    .endif
    s32i    a2, a1, UNIT_Y
.endm

// All columns of the dense one, a12 of them; returns.
.macro all_columns down
    addi    a11, a11, -1
    slli    a8, a8, 2
    slli    a9, a9, 2
    slli    a10, a10, 2
    srli    a11, a11, 5
    movi    a13, 0
    const.s f8, 0
    s32i    a2, a1, UNIT_Y
    s32i    a3, a1, UNIT_SPARSE
    s32i    a5, a1, UNIT_ACTIVE
    s32i    a6, a1, UNIT_COUNT
    s32i    a13, a1, UNIT_WORDS_DONE
    addi    a12, a12, -8
    bltz    a12, 13f
12:
    s32i    a12, a1, UNIT_COLUMNS
    all_units \down, 8
    l32i    a12, a1, UNIT_COLUMNS
    addi    a12, a12, -8
    bgez    a12, 12b
13:
    addi    a12, a12, 8
    beqz    a12, 15f
14:
    s32i    a12, a1, UNIT_COLUMNS
    all_units \down, 1
    l32i    a12, a1, UNIT_COLUMNS
    addi    a12, a12, -1
    bnez    a12, 14b
15:
    retw
.endm

#define ROW_Y_STRIDE 0
#define ROW_COLUMNS 4
#define ROW_ONES 8 // columns % 4

// Takes the first position left: its x and where its w stands.
.macro take x, w
    nsau    \w, a7
    ssr     \w
    srl     a13, a11
    xor     a7, a7, a13
    mull    a13, \w, a9
    mull    \w, \w, a8
    lsx     \x, a3, a13
    add     \w, \w, a4
.endm

.macro add_four op, x, w
    lsi     f4, \w, 4
    \op     f1, \x, f4
    lsi     f4, \w, 8
    \op     f2, \x, f4
    lsi     f4, \w, 12
    \op     f3, \x, f4
    lsip    f4, \w, 16
    \op     f0, \x, f4
.endm

// One or two positions, over all columns. \op is mul.s for the first of a unit, madd.s for the others, which add to y.
.macro walk op, positions
    mov     a12, a2
    l32i    a13, a1, ROW_ONES
    loopnez a10, 8f
    .ifc \op, madd.s
    lsi     f0, a12, 0
    lsi     f1, a12, 4
    lsi     f2, a12, 8
    lsi     f3, a12, 12
    .endif
    add_four \op, f9, a14
    .if \positions == 2
    add_four madd.s, f10, a15
    .endif
    ssi     f1, a12, 4
    ssi     f2, a12, 8
    ssi     f3, a12, 12
    ssip    f0, a12, 16
8:
    loopnez a13, 9f
    .ifc \op, madd.s
    lsi     f0, a12, 0
    .endif
    lsip    f4, a14, 4
    \op     f0, f9, f4
    .if \positions == 2
    lsip    f4, a15, 4
    madd.s  f0, f10, f4
    .endif
    ssip    f0, a12, 4
9:
.endm

FUNCTION(matmul_tn_sparse)
    entry   a1, 48
    l32i    a12, a7, SIZES_COLUMNS
    l32i    a11, a7, SIZES_DEPTH
    l32i    a10, a7, SIZES_Y_STRIDE
    l32i    a9, a7, SIZES_X_STRIDE
    l32i    a8, a7, SIZES_W_STRIDE
    movi    a13, 32
    bgeu    a13, a11, .Lone_word
    j       .Lmany_words
.Lone_word:
    movi    a11, 1
    slli    a10, a10, 2
    slli    a9, a9, 2
    slli    a8, a8, 2
    slli    a11, a11, 31
    s32i    a10, a1, ROW_Y_STRIDE
    s32i    a12, a1, ROW_COLUMNS
    extui   a13, a12, 0, 2
    srli    a10, a12, 2
    s32i    a13, a1, ROW_ONES
    const.s f8, 0
.Lunit:
    l32i    a7, a5, 0
    addi    a5, a5, 4
    mov     a12, a2
    beqz    a7, .Lnot_active
    take    f9, a14
    beqz    a7, .Lsingle
    take    f10, a15
    walk    mul.s, 2
    bnez    a7, .Lmore
.Lunit_end:
    l32i    a13, a1, ROW_Y_STRIDE
    addi    a6, a6, -1
    addi    a3, a3, 4
    add     a2, a2, a13
    bnez    a6, .Lunit
    retw

.Lsingle:
    walk    mul.s, 1
    j       .Lunit_end

.Lmore:
    take    f9, a14
    beqz    a7, .Llast
    take    f10, a15
    walk    madd.s, 2
    bnez    a7, .Lmore
    j       .Lunit_end

.Llast:
    walk    madd.s, 1
    j       .Lunit_end

.Lnot_active:
    l32i    a13, a1, ROW_COLUMNS
    loop    a13, .Lzeros
    ssip    f8, a12, 4
.Lzeros:
    j       .Lunit_end

.Lmany_words:
    all_columns 0
END_FUNCTION(matmul_tn_sparse)

FUNCTION(matmul_tn_sparse_w)
    entry   a1, 48
    mov     a12, a6
    mov     a13, a3
    l32i    a6, a7, SIZES_COLUMNS
    l32i    a11, a7, SIZES_DEPTH
    l32i    a10, a7, SIZES_Y_STRIDE
    l32i    a8, a7, SIZES_X_STRIDE
    l32i    a9, a7, SIZES_W_STRIDE
    mov     a3, a4
    mov     a4, a13
    all_columns 1
END_FUNCTION(matmul_tn_sparse_w)
