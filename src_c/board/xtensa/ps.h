// SPDX-License-Identifier: MIT
#ifndef XTENSA_PS_H
#define XTENSA_PS_H

// Fields of the processor status register PS (Xtensa ISA reference manual). C and assembly include this.

#define PS_INTLEVEL(level) (level)
#define PS_EXCM 0x10    // exception mode: windows unchecked, a second exception is a double one
#define PS_UM 0x20      // exceptions go to the user vector
#define PS_WOE 0x40000  // window overflow and underflow exceptions on

#define PS_OWB(ps) ((ps) >> 8 & 15) // while a window is saved or restored: the window of the program

#define DEBUGCAUSE_DB 4 // a data breakpoint

#define WINDOW_VECTORS_BYTES 0x180 // at the beginning of the vectors

// A data breakpoint on stores to the 64 bytes from an address on, which they are aligned to.
#define DBREAKC_STORE_64_BYTES 0x80000000

#endif
