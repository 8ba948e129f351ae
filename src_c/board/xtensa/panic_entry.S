// SPDX-License-Identifier: MIT
#include "board/xtensa/ps.h"

// From a vector (EXCSAVE1 = a0, EXCSAVE3 = program counter, a0 = event) to panic(event, pc, registers, special, windowbase).
// The program is over: its windows are written out, this one first, and its .bss becomes the place for them, at
// panic_registers, and for a stack below, since its own stack may be what went wrong. There is one such place: of two cores
// that panic, one goes on and stops the other.

// A word for each core, not in .bss: whether it is here. Each core writes its own before it reads the other's, so they cannot
// both go on; if they meet, the first does.
    .section .data.panicking, "aw"
    .balign 4
    .type panicking, @object
panicking:
    .long   0, 0
    .size panicking, . - panicking

    .section .text.panic_entry, "ax"
    .literal_position
    .balign 4
    .global panic_entry
    .type panic_entry, @function
panic_entry:
    wsr.excsave2 a0
    wsr.excsave4 a1
    wsr.excsave5 a2
    movi    a0, panicking
    rur.threadptr a1        // the core's number
    addx4   a1, a1, a0
    movi    a2, 1
    s32i    a2, a1, 0
    memw
    beq     a1, a0, .Lfirst_core
    l32i    a2, a0, 0
    beqz    a2, .Lgo_on
    movi    a2, 0
    s32i    a2, a1, 0
.Lstopped:
    waiti   15
    j       .Lstopped
.Lfirst_core:
    l32i    a2, a0, 4
    bnez    a2, .Lfirst_core
.Lgo_on:
    rsr.excsave5 a2
    rsr.excsave4 a1
    rsr.windowbase a0
    wsr.excsave5 a0
    movi    a0, panic_registers
    wsr.excsave4 a0         // where the next window goes
    rsr.excsave1 a0
    j       2f
1:  // the next window, unless it is the first again
    wsr.excsave1 a0
    wsr.excsave6 a1
    rsr.windowbase a0
    rsr.excsave5 a1
    beq     a0, a1, 3f
    rsr.excsave6 a1
2:
    rsr.excsave4 a0
    s32i    a1, a0, 4
    s32i    a2, a0, 8
    s32i    a3, a0, 12
    rsr.excsave1 a1
    s32i    a1, a0, 0
    addi    a0, a0, 16
    wsr.excsave4 a0
    rotw    1
    j       1b
3:
    rsr.excsave4 a2         // behind the registers: struct panic_special
    rsr.ps  a3
    s32i    a3, a2, 0
    rsr.sar a3
    s32i    a3, a2, 4
    rsr.exccause a3
    s32i    a3, a2, 8
    rsr.excvaddr a3
    s32i    a3, a2, 12
    rsr.lbeg a3
    s32i    a3, a2, 16
    rsr.lend a3
    s32i    a3, a2, 20
    rsr.lcount a3
    s32i    a3, a2, 24
    rsr.windowstart a3
    s32i    a3, a2, 28
    rsr.debugcause a3
    s32i    a3, a2, 32
    rsr.epc1 a3
    s32i    a3, a2, 36
    rsr.eps6 a3
    s32i    a3, a2, 40
    movi    a3, 0
    wsr.lcount a3           // or the loop that was interrupted could go on in a function that prints
    ssl     a0
    movi    a3, 1
    sll     a3, a3
    wsr.windowstart a3
    isync
    mov     a10, a0
    mov     a9, a2
    movi    a8, panic_registers
    rsr.excsave3 a7
    rsr.excsave2 a6
    mov     a1, a8
    movi    a0, 0
    movi    a3, PS_WOE | PS_UM | PS_INTLEVEL(15)
    wsr.ps  a3
    rsync
    movi    a4, panic
    callx4  a4
    .size panic_entry, . - panic_entry
