// SPDX-License-Identifier: MIT
#include "board/esp32/console_input.h"

// An interrupt of level 2, that of UART0: takes what it has received into console_input. No stack, no window, no loop, so it
// may come anywhere but in a window exception, which masks it.
//   a0 console_input    a2 UART0    a3 to a5 scratch; EXCSAVE2 = the program's a0

#define UART0 0x3FF40000
#define FIFO 0x00
#define INT_CLR 0x10
#define STATUS 0x1C
#define MEM_RX_STATUS 0x60
#define FIFO_BYTES 128
#define RECEIVED 0x101      // RXFIFO_FULL, RXFIFO_TOUT
#define SETTLING_CYCLES 240 // a microsecond: the FIFO's addresses follow a read late

    .section .text.level2_interrupt, "ax"
    .literal_position
    .balign 4
    .global level2_interrupt
    .type level2_interrupt, @function
level2_interrupt:
    movi    a0, console_input
    s32i    a2, a0, CONSOLE_INPUT_SAVED
    s32i    a3, a0, CONSOLE_INPUT_SAVED + 4
    s32i    a4, a0, CONSOLE_INPUT_SAVED + 8
    s32i    a5, a0, CONSOLE_INPUT_SAVED + 12
    movi    a2, UART0
.Lnext:                             // its count is wrong at times (errata UART-3.17), so the addresses are asked first
    memw
    l32i    a3, a2, MEM_RX_STATUS
    extui   a4, a3, 2, 11
    extui   a3, a3, 13, 11
    bne     a3, a4, .Ltake
    l32i    a3, a2, STATUS
    extui   a3, a3, 0, 8
    movi    a4, FIFO_BYTES
    bltu    a3, a4, .Lempty
.Ltake:
    l32i    a5, a2, FIFO
    l32i    a3, a0, CONSOLE_INPUT_WRITTEN
    l32i    a4, a0, CONSOLE_INPUT_TAKEN
    sub     a4, a3, a4
    bgei    a4, CONSOLE_INPUT_BYTES, .Llost
    extui   a4, a3, 0, 7            // modulo CONSOLE_INPUT_BYTES
    add     a4, a4, a0
    s8i     a5, a4, 0
    addi    a3, a3, 1
    s32i    a3, a0, CONSOLE_INPUT_WRITTEN
    j       .Lsettle
.Llost:
    s32i    a2, a0, CONSOLE_INPUT_LOST
.Lsettle:
    rsr     a3, ccount
.Lwait:
    rsr     a4, ccount
    sub     a4, a4, a3
    movi    a5, SETTLING_CYCLES
    bltu    a4, a5, .Lwait
    j       .Lnext
.Lempty:
    movi    a3, RECEIVED
    s32i    a3, a2, INT_CLR
    memw
    l32i    a2, a0, CONSOLE_INPUT_SAVED
    l32i    a3, a0, CONSOLE_INPUT_SAVED + 4
    l32i    a4, a0, CONSOLE_INPUT_SAVED + 8
    l32i    a5, a0, CONSOLE_INPUT_SAVED + 12
    rsr     a0, excsave2
    rfi     2
    .size level2_interrupt, . - level2_interrupt
