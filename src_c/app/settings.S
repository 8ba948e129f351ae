// SPDX-License-Identifier: MIT
// struct settings, as the build packed it. The build defines SETTINGS_FILE.
    .section .data.settings, "aw"
    .balign 4
    .globl settings
    .type settings, %object
settings:
    .incbin SETTINGS_FILE
    .size settings, . - settings
#ifdef __ELF__
#ifndef __xtensa__
    .section .note.GNU-stack, "", %progbits
#endif
#endif
