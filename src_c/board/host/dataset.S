// SPDX-License-Identifier: MIT
// The packed data set, embedded in the executable. The build defines DATASET_FILE.
    .section .rodata
    .balign 4
    .globl dataset_start, dataset_end
dataset_start:
    .incbin DATASET_FILE
dataset_end:
    .section .note.GNU-stack, "", %progbits
