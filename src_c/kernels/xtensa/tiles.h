// SPDX-License-Identifier: MIT
// One step of the summation index for a tile of rows x columns outputs, held in f0 up, row by row.
//
// The includer defines LOAD_X<r>(f) and LOAD_W<c>(f): element r of this step's x, element c of its w. Number 0 is always
// loaded last, so that it may move on a pointer that the others share. The side with fewer elements is held in f12 to f14,
// the other passes through f15; every load stands directly before its first use, which on the LX6 costs nothing.
// \op is mul.s for the first step, madd.s for the others. A step of 4x3 or 3x4 is 19 instructions for 12 products.

.macro step_4x3 op
    LOAD_W1(f13)
    LOAD_W2(f14)
    LOAD_W0(f12)
    LOAD_X1(f15)
    \op     f3, f15, f12
    \op     f4, f15, f13
    \op     f5, f15, f14
    LOAD_X2(f15)
    \op     f6, f15, f12
    \op     f7, f15, f13
    \op     f8, f15, f14
    LOAD_X3(f15)
    \op     f9, f15, f12
    \op     f10, f15, f13
    \op     f11, f15, f14
    LOAD_X0(f15)
    \op     f0, f15, f12
    \op     f1, f15, f13
    \op     f2, f15, f14
.endm

.macro step_4x1 op
    LOAD_W0(f12)
    LOAD_X1(f13)
    \op     f1, f13, f12
    LOAD_X2(f14)
    \op     f2, f14, f12
    LOAD_X3(f15)
    \op     f3, f15, f12
    LOAD_X0(f15)
    \op     f0, f15, f12
.endm

.macro step_3x4 op
    LOAD_X1(f13)
    LOAD_X2(f14)
    LOAD_X0(f12)
    LOAD_W1(f15)
    \op     f1, f12, f15
    \op     f5, f13, f15
    \op     f9, f14, f15
    LOAD_W2(f15)
    \op     f2, f12, f15
    \op     f6, f13, f15
    \op     f10, f14, f15
    LOAD_W3(f15)
    \op     f3, f12, f15
    \op     f7, f13, f15
    \op     f11, f14, f15
    LOAD_W0(f15)
    \op     f0, f12, f15
    \op     f4, f13, f15
    \op     f8, f14, f15
.endm

.macro step_3x1 op
    LOAD_W0(f12)
    LOAD_X1(f13)
    \op     f1, f13, f12
    LOAD_X2(f14)
    \op     f2, f14, f12
    LOAD_X0(f15)
    \op     f0, f15, f12
.endm

.macro step_2x4 op
    LOAD_X1(f13)
    LOAD_X0(f12)
    LOAD_W1(f15)
    \op     f1, f12, f15
    \op     f5, f13, f15
    LOAD_W2(f15)
    \op     f2, f12, f15
    \op     f6, f13, f15
    LOAD_W3(f15)
    \op     f3, f12, f15
    \op     f7, f13, f15
    LOAD_W0(f15)
    \op     f0, f12, f15
    \op     f4, f13, f15
.endm

.macro step_2x1 op
    LOAD_W0(f12)
    LOAD_X1(f13)
    \op     f1, f13, f12
    LOAD_X0(f15)
    \op     f0, f15, f12
.endm

.macro step_1x8 op
    LOAD_X0(f12)
    LOAD_W1(f15)
    \op     f1, f12, f15
    LOAD_W2(f15)
    \op     f2, f12, f15
    LOAD_W3(f15)
    \op     f3, f12, f15
    LOAD_W4(f15)
    \op     f4, f12, f15
    LOAD_W5(f15)
    \op     f5, f12, f15
    LOAD_W6(f15)
    \op     f6, f12, f15
    LOAD_W7(f15)
    \op     f7, f12, f15
    LOAD_W0(f15)
    \op     f0, f12, f15
.endm

.macro step_1x1 op
    LOAD_W0(f12)
    LOAD_X0(f15)
    \op     f0, f15, f12
.endm

// \what (lsi or ssi) on a row of outputs in f\first up, at address register \at.
.macro row_1 what, at, f0
    \what   \f0, \at, 0
.endm

.macro row_3 what, at, f0, f1, f2
    \what   \f0, \at, 0
    \what   \f1, \at, 4
    \what   \f2, \at, 8
.endm

.macro row_4 what, at, f0, f1, f2, f3
    row_3   \what, \at, \f0, \f1, \f2
    \what   \f3, \at, 12
.endm

// \what on a whole tile; registers: rows.h. With one row, a11 and a14 are not touched.
.macro tile_4x3 what
    row_3   \what, a2, f0, f1, f2
    add     a14, a2, a11
    row_3   \what, a14, f3, f4, f5
    add     a14, a14, a11
    row_3   \what, a14, f6, f7, f8
    add     a14, a14, a11
    row_3   \what, a14, f9, f10, f11
.endm

.macro tile_4x1 what
    row_1   \what, a2, f0
    add     a14, a2, a11
    row_1   \what, a14, f1
    add     a14, a14, a11
    row_1   \what, a14, f2
    add     a14, a14, a11
    row_1   \what, a14, f3
.endm

.macro tile_3x4 what
    row_4   \what, a2, f0, f1, f2, f3
    add     a14, a2, a11
    row_4   \what, a14, f4, f5, f6, f7
    add     a14, a14, a11
    row_4   \what, a14, f8, f9, f10, f11
.endm

.macro tile_3x1 what
    row_1   \what, a2, f0
    add     a14, a2, a11
    row_1   \what, a14, f1
    add     a14, a14, a11
    row_1   \what, a14, f2
.endm

.macro tile_2x4 what
    row_4   \what, a2, f0, f1, f2, f3
    add     a14, a2, a11
    row_4   \what, a14, f4, f5, f6, f7
.endm

.macro tile_2x1 what
    row_1   \what, a2, f0
    add     a14, a2, a11
    row_1   \what, a14, f1
.endm

.macro tile_1x8 what
    row_4   \what, a2, f0, f1, f2, f3
    \what   f4, a2, 16
    \what   f5, a2, 20
    \what   f6, a2, 24
    \what   f7, a2, 28
.endm

.macro tile_1x1 what
    row_1   \what, a2, f0
.endm
