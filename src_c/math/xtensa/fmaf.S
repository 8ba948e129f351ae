// SPDX-License-Identifier: MIT
// float fmaf(float a, float b, float c): a * b + c with one rounding, for compilers that turn __builtin_fmaf into a call.
// in     a2=a a3=b a4=c     out a2     uses f0-f2     stack 16 (leaf)
    .section .text.fmaf, "ax"
    .balign 4
    .global fmaf
    .type fmaf, @function
fmaf:
    entry   a1, 16
    wfr     f0, a2
    wfr     f1, a3
    wfr     f2, a4
    madd.s  f2, f0, f1
    rfr     a2, f2
    retw
    .size fmaf, . - fmaf
