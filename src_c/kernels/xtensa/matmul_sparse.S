// SPDX-License-Identifier: MIT
// matmul_nt_add_sparse, matmul_nn_sparse: products that leave out the zeros of x.
//                                                                twin: plain/products.c    contract: kernels.h
//
// nt, nn      in     a2=y a3=x a4=w a5=rows a6=sizes
//             A row of x is taken in pieces of up to PIECE steps: first the places of what is not zero go to a list, in
//             bytes from the piece's first, so that a place is a byte; then each block of 8 columns (or 1) walks along it.
//             live   listing:  a3=next x  a4=x of the piece  a2 a5 a7=bits of x, then its place  a15=end of the list
//                    products: a2=y of these columns  a3=x of the piece  a4=w of these columns at the piece
//                    a5=columns left  a6=length of the list  a7=place, then address of w  a15=place in the list
//                    nt: a8-a14=w_stride times 1 to 7, in bytes    nn: a8=w_stride
//             order  9 instructions for 4 zeros; another x: 7, and 20 (nn 21) for 8 columns; 23 for 8 columns of a piece
// uses   f0-f7=sums of 8 columns of one row f14=w f15=x, LBEG/LEND/LCOUNT      stack 128 (leaf)      over-read 0
// chains one for each output, ascending
#include "kernels/xtensa/kernel.h"

#define SPARSE_Y 0
#define SPARSE_X 4
#define SPARSE_W 8
#define SPARSE_ROWS 12
#define SPARSE_COLUMNS 16
#define SPARSE_Y_STRIDE 20
#define SPARSE_X_STRIDE 24
#define SPARSE_DEPTH 28
#define SPARSE_DEPTH_LEFT 32
#define SPARSE_NEXT_PIECE 36 // x
#define SPARSE_LIST 40
#define PIECE 64 // steps: as many words as a byte can tell the places of
#define SPARSE_FRAME_BYTES 128
#if SPARSE_LIST + PIECE + SAVE_AREA_BYTES > SPARSE_FRAME_BYTES
#error "the list of a piece reaches into the save area of its frame"
#endif

// f\sum += x * w of column \number, which in nt lies \index bytes from the first.
.macro add_column kind, number, sum, index
    .ifc \kind, nt
    .if \number == 0
    lsi     f14, a7, 0
    .else
    lsx     f14, a7, \index
    .endif
    .else
    lsi     f14, a7, 4 * \number
    .endif
    madd.s  \sum, f15, f14
.endm

.macro add_columns kind, columns
    add_column \kind, 0, f0, a8
    .if \columns == 8
    add_column \kind, 1, f1, a8
    add_column \kind, 2, f2, a9
    add_column \kind, 3, f3, a10
    add_column \kind, 4, f4, a11
    add_column \kind, 5, f5, a12
    add_column \kind, 6, f6, a13
    add_column \kind, 7, f7, a14
    .endif
.endm

// \what (lsi or ssi) on the sums of \columns columns.
.macro sums what, columns
    \what   f0, a2, 0
    .if \columns == 8
    \what   f1, a2, 4
    \what   f2, a2, 8
    \what   f3, a2, 12
    \what   f4, a2, 16
    \what   f5, a2, 20
    \what   f6, a2, 24
    \what   f7, a2, 28
    .endif
.endm

// Column blocks of this width while there are enough columns; the whole list for each.
.macro listed_columns kind, columns
    addi    a5, a5, -\columns
    bltz    a5, 3f
1:
    sums    lsi, \columns
    addi    a15, a1, SPARSE_LIST
    loopnez a6, 2f
    l8ui    a7, a15, 0
    addi    a15, a15, 1
    lsx     f15, a3, a7
    .ifc \kind, nn
    mull    a7, a7, a8
    .endif
    add     a7, a7, a4
    add_columns \kind, \columns
2:
    sums    ssi, \columns
    .ifc \kind, nt
    .if \columns == 8
    add     a4, a4, a14
    .endif
    add     a4, a4, a8
    .else
    addi    a4, a4, 4 * \columns
    .endif
    addi    a2, a2, 4 * \columns
    addi    a5, a5, -\columns
    bgez    a5, 1b
3:
    addi    a5, a5, \columns
.endm

// The x in \x, \offset bytes from a3, is not zero and goes to the list; then back to \next.
.macro list_x x, offset, next
    addi    \x, a3, \offset
    sub     \x, \x, a4
    s8i     \x, a15, 0
    addi    a15, a15, 1
    j       \next
.endm

.macro sparse_product kind
    entry   a1, SPARSE_FRAME_BYTES
    l32i    a7, a6, SIZES_COLUMNS
    l32i    a8, a6, SIZES_DEPTH
    l32i    a9, a6, SIZES_Y_STRIDE
    l32i    a10, a6, SIZES_X_STRIDE
    l32i    a11, a6, SIZES_W_STRIDE
    slli    a9, a9, 2
    slli    a10, a10, 2
    s32i    a2, a1, SPARSE_Y
    s32i    a3, a1, SPARSE_X
    s32i    a4, a1, SPARSE_W
    s32i    a5, a1, SPARSE_ROWS
    s32i    a7, a1, SPARSE_COLUMNS
    s32i    a8, a1, SPARSE_DEPTH
    s32i    a9, a1, SPARSE_Y_STRIDE
    s32i    a10, a1, SPARSE_X_STRIDE
    .ifc \kind, nt
    slli    a8, a11, 2
    add     a9, a8, a8
    add     a10, a9, a8
    add     a11, a9, a9
    add     a12, a11, a8
    add     a13, a10, a10
    add     a14, a13, a8
    .else
    mov     a8, a11
    const.s f0, 0
    .endif
10: // a row
    .ifc \kind, nn
    mov     a15, a2
    loopnez a7, 11f
    ssip    f0, a15, 4
11:
    .endif
    l32i    a5, a1, SPARSE_DEPTH
12: // a piece of it, of a5 steps that are left
    movi    a6, PIECE
    minu    a6, a6, a5
    sub     a5, a5, a6
    s32i    a5, a1, SPARSE_DEPTH_LEFT
    mov     a4, a3
    addi    a15, a1, SPARSE_LIST
    srli    a7, a6, 2
    extui   a6, a6, 0, 2
    loopnez a7, 17f
    l32i    a2, a3, 0
    l32i    a5, a3, 4
    l32i    a7, a3, 8
    bnez    a2, 20f
13:
    l32i    a2, a3, 12
    bnez    a5, 21f
14:
    bnez    a7, 22f
15:
    bnez    a2, 23f
16:
    addi    a3, a3, 16
17:
    loopnez a6, 19f
    l32i    a7, a3, 0
    bnez    a7, 24f
18:
    addi    a3, a3, 4
19:
    s32i    a3, a1, SPARSE_NEXT_PIECE
    l32i    a2, a1, SPARSE_Y
    mov     a3, a4
    sub     a6, a15, a1
    addi    a6, a6, -SPARSE_LIST
    beqz    a6, 26f
    l32i    a7, a1, SPARSE_X
    l32i    a15, a1, SPARSE_W
    l32i    a5, a1, SPARSE_COLUMNS
    sub     a4, a3, a7      // from the row's x to the piece's
    .ifc \kind, nn
    mull    a4, a4, a8
    .endif
    add     a4, a4, a15
    listed_columns \kind, 8
    beqz    a5, 25f
    listed_columns \kind, 1
25:
    l32i    a2, a1, SPARSE_Y
26:
    l32i    a5, a1, SPARSE_DEPTH_LEFT
    l32i    a3, a1, SPARSE_NEXT_PIECE
    bnez    a5, 12b
    l32i    a5, a1, SPARSE_ROWS
    l32i    a7, a1, SPARSE_Y_STRIDE
    addi    a5, a5, -1
    beqz    a5, 27f
    l32i    a15, a1, SPARSE_X_STRIDE
    l32i    a3, a1, SPARSE_X
    add     a2, a2, a7
    add     a3, a3, a15
    s32i    a5, a1, SPARSE_ROWS
    s32i    a2, a1, SPARSE_Y
    s32i    a3, a1, SPARSE_X
    .ifc \kind, nn
    l32i    a7, a1, SPARSE_COLUMNS
    const.s f0, 0
    .endif
    j       10b
27:
    retw
20: // out of the way: most of x is zero
    list_x  a2, 0, 13b
21:
    list_x  a5, 4, 14b
22:
    list_x  a7, 8, 15b
23:
    list_x  a2, 12, 16b
24:
    list_x  a7, 0, 18b
.endm

FUNCTION(matmul_nt_add_sparse)
    sparse_product nt
END_FUNCTION(matmul_nt_add_sparse)

FUNCTION(matmul_nn_sparse)
    sparse_product nn
END_FUNCTION(matmul_nn_sparse)
