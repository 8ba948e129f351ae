// SPDX-License-Identifier: MIT
// The x of a row tile, read along its rows: one pointer for each, a3 to a6. All registers: rows.h.

.macro point_at_rows rows
    l32i    a14, a1, FRAME_X_STRIDE
    .if \rows > 1
    add     a4, a3, a14
    .endif
    .if \rows > 2
    add     a5, a4, a14
    .endif
    .if \rows > 3
    add     a6, a5, a14
    .endif
.endm

// From behind the last step of each row back to the first.
.macro rewind_rows rows
    sub     a3, a3, a15
    .if \rows > 1
    sub     a4, a4, a15
    .endif
    .if \rows > 2
    sub     a5, a5, a15
    .endif
    .if \rows > 3
    sub     a6, a6, a15
    .endif
.endm

.macro next_rows rows
    l32i    a14, a1, FRAME_X_STRIDE
    .rept \rows
    add     a3, a3, a14
    .endr
.endm
