// SPDX-License-Identifier: MIT
// The table at VECBASE, the same on both cores: window handlers as in the Xtensa ISA reference
// manual, and for everything else the way to panic().

    .macro vector name, offset
    .org \offset
    .global \name
    .type \name, @function
\name:
    .endm

    .macro end_vector name
    .size \name, . - \name
    .endm

// EXCSAVE1 = a0, EXCSAVE3 = where, a0 = what happened (enum panic_event).
    .macro panic_vector name, offset, event, pc, next=panic_entry
    vector \name, \offset
    wsr.excsave1 a0
    rsr.\pc a0
    wsr.excsave3 a0
    movi    a0, \event
    j       \next
    end_vector \name
    .endm

    .section .vectors, "ax"

    vector window_overflow4, 0x000
    s32e    a0, a5, -16
    s32e    a1, a5, -12
    s32e    a2, a5, -8
    s32e    a3, a5, -4
    rfwo
    end_vector window_overflow4

    vector window_underflow4, 0x040
    l32e    a0, a5, -16
    l32e    a1, a5, -12
    l32e    a2, a5, -8
    l32e    a3, a5, -4
    rfwu
    end_vector window_underflow4

    vector window_overflow8, 0x080
    s32e    a0, a9, -16
    l32e    a0, a1, -12         // the caller's stack pointer: its frame keeps a4 to a7
    s32e    a1, a9, -12
    s32e    a2, a9, -8
    s32e    a3, a9, -4
    s32e    a4, a0, -32
    s32e    a5, a0, -28
    s32e    a6, a0, -24
    s32e    a7, a0, -20
    rfwo
    end_vector window_overflow8

    vector window_underflow8, 0x0C0
    l32e    a0, a9, -16
    l32e    a1, a9, -12
    l32e    a2, a9, -8
    l32e    a7, a1, -12
    l32e    a3, a9, -4
    l32e    a4, a7, -32
    l32e    a5, a7, -28
    l32e    a6, a7, -24
    l32e    a7, a7, -20
    rfwu
    end_vector window_underflow8

    vector window_overflow12, 0x100
    s32e    a0, a13, -16
    l32e    a0, a1, -12         // the caller's stack pointer: its frame keeps a4 to a11
    s32e    a1, a13, -12
    s32e    a2, a13, -8
    s32e    a3, a13, -4
    s32e    a4, a0, -48
    s32e    a5, a0, -44
    s32e    a6, a0, -40
    s32e    a7, a0, -36
    s32e    a8, a0, -32
    s32e    a9, a0, -28
    s32e    a10, a0, -24
    s32e    a11, a0, -20
    rfwo
    end_vector window_overflow12

    vector window_underflow12, 0x140
    l32e    a0, a13, -16
    l32e    a1, a13, -12
    l32e    a2, a13, -8
    l32e    a11, a1, -12
    l32e    a3, a13, -4
    l32e    a4, a11, -48
    l32e    a5, a11, -44
    l32e    a6, a11, -40
    l32e    a7, a11, -36
    l32e    a8, a11, -32
    l32e    a9, a11, -28
    l32e    a10, a11, -24
    l32e    a11, a11, -20
    rfwu
    end_vector window_underflow12

    vector level2_vector, 0x180
    wsr.excsave2 a0
    j       level2_interrupt
    end_vector level2_vector

    panic_vector level3_vector, 0x1C0, 3, epc3, level3_interrupt
    panic_vector level4_vector, 0x200, 4, epc4
    panic_vector level5_vector, 0x240, 5, epc5
    panic_vector debug_vector, 0x280, 6, epc6
    panic_vector nmi_vector, 0x2C0, 7, epc7
    panic_vector kernel_vector, 0x300, 1, epc1
    panic_vector user_vector, 0x340, 1, epc1
    panic_vector double_vector, 0x3C0, 0, depc

// What a board without interrupts of these levels makes of one; others have functions of these names. For level 2,
// EXCSAVE2 = a0; for level 3 as for panic_entry.
    .section .text.level2_panic, "ax"
    .balign 4
    .weak level2_interrupt
    .type level2_interrupt, @function
level2_interrupt:
    rsr.excsave2 a0
    wsr.excsave1 a0
    rsr.epc2 a0
    wsr.excsave3 a0
    movi    a0, 2
    j       panic_entry
    .size level2_interrupt, . - level2_interrupt

    .section .text.level3_panic, "ax"
    .balign 4
    .weak level3_interrupt
    .type level3_interrupt, @function
level3_interrupt:
    j       panic_entry
    .size level3_interrupt, . - level3_interrupt
