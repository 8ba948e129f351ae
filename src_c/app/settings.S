// SPDX-License-Identifier: MIT
// struct settings, as the build packed it. The build defines SETTINGS_FILE.
#ifdef __wasm__
    .section .data.settings, "", @
#else
    .section .data.settings, "aw"
#endif
    .balign 4
    .globl settings
    .type settings, @object
settings:
    .incbin SETTINGS_FILE
.Lend:
    .size settings, .Lend - settings
#ifdef __ELF__
#ifndef __xtensa__
    .section .note.GNU-stack, "", %progbits
#endif
#endif
