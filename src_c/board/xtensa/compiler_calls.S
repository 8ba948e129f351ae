// SPDX-License-Identifier: MIT
// What GCC and clang may call though no source does, where they copy or compare a struct or recognize a loop. Both
// demand it of freestanding programs too (GCC manual, Language Standards). As C17, 7.24; a byte at a time.

    .macro FUNCTION name
    .section .text.\name, "ax"
    .balign 4
    .global \name
    .type   \name, @function
\name:
    entry   a1, 16
    .endm

// void *memcpy(void *to, const void *from, size_t length)
// in     a2=to a3=from a4=length     out a2     uses a5, a6     stack 16 (leaf)
    FUNCTION memcpy
    mov     a5, a2
    loopnez a4, 1f
    l8ui    a6, a3, 0
    addi    a3, a3, 1
    s8i     a6, a5, 0
    addi    a5, a5, 1
1:
    retw
    .size memcpy, . - memcpy

// void *memmove(void *to, const void *from, size_t length)
// in     a2=to a3=from a4=length     out a2     uses a5, a6     stack 16 (leaf)
    FUNCTION memmove
    mov     a5, a2
    bltu    a3, a2, 2f      // backwards, so that nothing is overwritten before it was read
    loopnez a4, 1f
    l8ui    a6, a3, 0
    addi    a3, a3, 1
    s8i     a6, a5, 0
    addi    a5, a5, 1
1:
    retw
2:
    add     a3, a3, a4
    add     a5, a5, a4
    loopnez a4, 3f
    addi    a3, a3, -1
    l8ui    a6, a3, 0
    addi    a5, a5, -1
    s8i     a6, a5, 0
3:
    retw
    .size memmove, . - memmove

// void *memset(void *to, int byte, size_t length)
// in     a2=to a3=byte a4=length     out a2     uses a5     stack 16 (leaf)
    FUNCTION memset
    mov     a5, a2
    loopnez a4, 1f
    s8i     a3, a5, 0
    addi    a5, a5, 1
1:
    retw
    .size memset, . - memset

// int memcmp(const void *one, const void *other, size_t length)
// in     a2=one a3=other a4=length     out a2     uses a5, a6     stack 16 (leaf)
    FUNCTION memcmp
    movi    a5, 0
    movi    a6, 0
    loopnez a4, 1f
    l8ui    a5, a2, 0
    l8ui    a6, a3, 0
    bne     a5, a6, 1f
    addi    a2, a2, 1
    addi    a3, a3, 1
1:
    sub     a2, a5, a6
    retw
    .size memcmp, . - memcmp
