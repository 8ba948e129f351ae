// SPDX-License-Identifier: MIT
#ifndef XTENSA_PS_H
#define XTENSA_PS_H

// Fields of the processor status register PS (Xtensa ISA reference manual). C and assembly include this.

#define PS_INTLEVEL(level) (level)
#define PS_EXCM 0x10    // exception mode: windows unchecked, a second exception is a double one
#define PS_UM 0x20      // exceptions go to the user vector
#define PS_WOE 0x40000  // window overflow and underflow exceptions on

#endif
