// SPDX-License-Identifier: MIT
#include "board/xtensa/ps.h"

// From a vector (a2 = event, a3 = program counter) to panic(event, pc, cause, address). The program is over, so its
// windows and its stack, which may be what went wrong, are given up.

    .section .text.panic_entry, "ax"
    .literal_position
    .balign 4
    .global panic_entry
    .type panic_entry, @function
panic_entry:
    rsr.windowbase a4
    ssl     a4
    movi    a5, 1
    sll     a5, a5
    wsr.windowstart a5
    rsync
    mov     a6, a2
    mov     a7, a3
    rsr.exccause a8
    rsr.excvaddr a9
    movi    a0, 0
    movi    a1, stack_top
    movi    a2, PS_WOE | PS_UM | PS_INTLEVEL(15)
    wsr.ps  a2
    rsync
    movi    a4, panic
    callx4  a4
    .size panic_entry, . - panic_entry
