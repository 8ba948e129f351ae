// SPDX-License-Identifier: MIT
#include "board/xtensa/ps.h"

// From whatever state the loader left to board_start(), which does not return, on a fresh stack.
// Interrupts stay off, the FPU rounds to nearest even and its flags are clear.

    .section .text._start, "ax"
    .literal_position
    .balign 4
    .global _start
    .type _start, @function
_start:
    movi    a0, PS_EXCM | PS_INTLEVEL(15)   // the loader's windows are abandoned, so none may be checked
    wsr.ps  a0
    rsync
    movi    a0, 0
    wsr.windowbase a0
    rsync
    wsr.memctl a0           // the ROM turns the loop buffer on, ESP-IDF off again: rare illegal instructions (erratum 572)
    isync
    movi    a0, 1
    wsr.windowstart a0
    wsr.cpenable a0
    movi    a0, 0
    wsr.intenable a0
    wsr.lcount a0
    isync
    wur.fcr a0
    wur.fsr a0
    movi    a0, vectors_start
    wsr.vecbase a0
    movi    a0, stack_bottom        // the guard
    wsr.dbreaka0 a0
    movi    a0, DBREAKC_STORE_64_BYTES
    wsr.dbreakc0 a0
    isync
    movi    a1, stack_top
    movi    a0, PS_WOE | PS_UM      // before the loop too: in exception mode, loops do not go round
    wsr.ps  a0
    rsync

    movi    a2, bss_start
    movi    a3, bss_end
    sub     a3, a3, a2
    srli    a3, a3, 2
    movi    a0, 0
    loopnez a3, .Lbss_end
    s32i    a0, a2, 0
    addi    a2, a2, 4
.Lbss_end:

    movi    a0, 0               // the end of every backtrace
    movi    a4, board_start
    callx4  a4                  // not callx8: that would need a base-save area above this frame
    .size _start, . - _start
