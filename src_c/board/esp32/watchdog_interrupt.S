// SPDX-License-Identifier: MIT

// An interrupt of level 3, that of the watchdog, which both cores get: a panic. A core that only waits for the other, though,
// gives that one half a second to explain itself, which takes a thousandth of it, and to stop this one.
//   a0 = 3, the event; EXCSAVE1 = the program's a0, EXCSAVE3 = its program counter; a2 is kept in EXCSAVE4

#define HALF_A_SECOND 27 // its power of two, in cycles, and a little more

    .section .text.level3_interrupt, "ax"
    .literal_position
    .balign 4
    .global level3_interrupt
    .type level3_interrupt, @function
level3_interrupt:
    wsr.excsave4 a2
    rsr.excsave3 a0
    movi    a2, team_wait_start     // linker/esp32.ld
    bltu    a0, a2, .Lexplain
    movi    a2, team_wait_end
    bgeu    a0, a2, .Lexplain
    rsr     a2, ccount
.Lwait:
    rsr     a0, ccount
    sub     a0, a0, a2
    extui   a0, a0, HALF_A_SECOND, 32 - HALF_A_SECOND
    beqz    a0, .Lwait
.Lexplain:
    rsr.excsave4 a2
    movi    a0, 3
    j       panic_entry
    .size level3_interrupt, . - level3_interrupt
