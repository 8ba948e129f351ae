// SPDX-License-Identifier: MIT
// The order in which a product walks over its output: row tiles of 4 and 3 rows (2 or 1 where no more are left), in each of
// them column tiles of 3 or 4 (8 for a single row), then single columns. Seven rows are 4 + 3, eight 4 + 4, nine 3 + 3 + 3.
//
// The includer defines, besides what tiles.h asks for,
//   begin_rows rows        set the x pointers for a row tile at a3
//   begin_columns columns  set the w pointers and steps for column tiles; the first of the row tile start at column 0
//   end_tile rows, columns move the pointers from one column tile to the next
//   next_rows rows         move a3 on by a row tile
//
// What the registers hold, by phase; of tiles.h and x_rows.h too. "-" is free. The includers' own are in the last lines.
//
//          between row tiles       in a row tile                     while a tile is summed (nt with 8 columns: see there)
//          (all_rows)              (row_tile, begin_*, end_*)        (step_*, tile_*)
//   a2     y of the row tile       y of the column tile              y of its row 0
//   a3     x of the row tile       x of the row tile                 nt nn: x of row 0, this step
//   a11    -                       y_stride in bytes                 y_stride in bytes, for tile_*
//   a12    scratch of the choice   columns left                      columns left
//   a13    steps of the sum, less one where the tile starts from a product; never changes
//   a14    rows left               scratch                           y of the tile's other rows, for tile_*
//   nt nn  a15=bytes of a row of x that is summed                    a4 a5 a6=x of rows 1 to 3
//   nt     a7=w of column 0  a10=from the end of a tile's w on       a7 a8 a9=w of columns 0 to 2, a6=of column 3
//   nn     a8=w of the tile's first step  a10=w_stride in bytes      a7=w of this step
//   tn     a8=w of the tile's first step  a10=w_stride in bytes      a7=w a5=x of this step  a6=x_stride in bytes
//
// stack    FRAME_ROWS, FRAME_Y, FRAME_COLUMNS, FRAME_Y_STRIDE; nt nn FRAME_X_STRIDE; FRAME_W; nt FRAME_W_STRIDE

// All column tiles of this width while there are enough columns. \start: product, or y for a sum that begins with y.
.macro column_tiles rows, columns, start
    addi    a12, a12, -\columns
    bltz    a12, 3f
    begin_columns \columns
1:
    .ifc \start, product
    step_\rows\()x\columns mul.s
    .else
    tile_\rows\()x\columns lsi
    .endif
    loopnez a13, 2f
    step_\rows\()x\columns madd.s
2:
    tile_\rows\()x\columns ssi
    addi    a2, a2, 4 * \columns
    end_tile \rows, \columns
    addi    a12, a12, -\columns
    bgez    a12, 1b
3:
    addi    a12, a12, \columns
.endm

// A row tile, column tiles of width \columns first.
.macro row_tile rows, columns, start
    l32i    a12, a1, FRAME_COLUMNS
    l32i    a11, a1, FRAME_Y_STRIDE
    begin_rows \rows
    column_tiles \rows, \columns, \start
    beqz    a12, 4f
    column_tiles \rows, 1, \start
4:
    next_rows \rows
    l32i    a2, a1, FRAME_Y
    l32i    a11, a1, FRAME_Y_STRIDE
    .rept \rows
    add     a2, a2, a11
    .endr
    l32i    a14, a1, FRAME_ROWS
    s32i    a2, a1, FRAME_Y
    addi    a14, a14, -\rows
    s32i    a14, a1, FRAME_ROWS
.endm

// All rows, a14 of them, then returns. \tallest: 4, or 3 where the number of columns suits 3x4 tiles best.
.macro all_rows start, tallest
5:
    .if \tallest == 4
    addi    a12, a14, -7
    bgez    a12, 8f
    addi    a12, a14, -4
    beqz    a12, 9f
    .endif
    addi    a12, a14, -3
    bgez    a12, 7f
    addi    a12, a14, -2
    beqz    a12, 6f
    beqz    a14, 10f
    row_tile 1, 8, \start
10:
    retw
6:
    row_tile 2, 4, \start
    retw
7:
    row_tile 3, 4, \start
    j       5b
    .if \tallest == 4
8:
    addi    a12, a14, -9
    beqz    a12, 7b
9:
    row_tile 4, 3, \start
    j       5b
    .endif
.endm
