// SPDX-License-Identifier: MIT
// The fused multiply-add for targets without one. tests/test_wasm.py compares it with fmaf, bit for bit.
#ifndef FMA_THROUGH_DOUBLE_H
#define FMA_THROUGH_DOUBLE_H

#include <stdint.h>

// a * b + c with one rounding to nearest even, for all values; a NaN may have any payload.
//
// The product is exact in binary64, and the sum is rounded to 53 bits. Rounding that to float32 goes wrong only where it lies
// halfway between two floats and the exact sum does not: then the sum's exact error (Knuth's two-sum) says to which side, and
// moving the last of the 53 bits there is enough (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
// A halfway point has at most 25 bits, so its last 28 of 53 are zero; subnormal results too.
inline float fma_through_double(float a, float b, float c) {
    const double product = (double)a * (double)b;
    union {
        double value;
        uint64_t bits;
    } sum = {.value = product + (double)c};
    if (__builtin_expect((sum.bits & 0x0FFFFFFFu) == 0, 0)) {
        const double of_c = sum.value - product;
        const double error = (product - (sum.value - of_c)) + ((double)c - of_c);
        if (error > 0.0 || error < 0.0) { // neither if the sum is exact, or not finite
            sum.bits += (error > 0.0) == (sum.value > 0.0) ? 1 : UINT64_MAX;
        }
    }
    return (float)sum.value;
}

#endif
