// SPDX-License-Identifier: MIT
#include "board/xtensa/ps.h"

// From whatever state a loader or the ROM left a core in to C, which does not return, on a fresh stack.
// Interrupts stay off, the FPU rounds to nearest even and its flags are clear.

    .macro set_up_core number, bottom, top
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
    movi    a0, \bottom             // the guard
    wsr.dbreaka0 a0
    movi    a0, DBREAKC_STORE_64_BYTES
    wsr.dbreakc0 a0
    isync
    movi    a0, \number
    wur.threadptr a0                // core_number()
    movi    a1, \top
    movi    a0, PS_WOE | PS_UM      // before any loop: in exception mode, loops do not go round
    wsr.ps  a0
    rsync
    .endm

    .macro call_c function
    movi    a0, 0               // the end of every backtrace
    movi    a4, \function
    callx4  a4                  // not callx8: that would need a base-save area above this frame
    .endm

// The first core: zeroes .bss and calls board_start().
    .section .text._start, "ax"
    .literal_position
    .balign 4
    .global _start
    .type _start, @function
_start:
    set_up_core 0, stack_bottom, stack_top
    movi    a2, bss_start
    movi    a3, bss_end
    sub     a3, a3, a2
    srli    a3, a3, 2
    movi    a0, 0
    loopnez a3, .Lbss_end
    s32i    a0, a2, 0
    addi    a2, a2, 4
.Lbss_end:
    call_c  board_start
    .size _start, . - _start

// The second core: calls board_start_on_second_core().
    .section .text.start_second, "ax"
    .literal_position
    .balign 4
    .global start_second
    .type start_second, @function
start_second:
    set_up_core 1, second_stack_bottom, second_stack_top
    call_c  board_start_on_second_core
    .size start_second, . - start_second
