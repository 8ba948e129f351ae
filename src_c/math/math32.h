// SPDX-License-Identifier: MIT
// Elementary functions in float32, built from IEEE operations alone, so that every target computes the same bits.
// Results lie within 1 ulp of the correctly rounded value over the ranges named here; tests/test_math.py measures them.
#ifndef MATH32_H
#define MATH32_H

#include <stdint.h>

// a * b + c with one rounding. Hardware on the host and through GCC; math/xtensa/fmaf.S where the compiler has no pattern for it.
#ifdef __wasm__
#include "math/wasm/fma_through_double.h"
#define FMA32(a, b, c) fma_through_double((a), (b), (c))
#else
#define FMA32(a, b, c) __builtin_fmaf((a), (b), (c))
#endif

// The IEEE 754 encoding of x.
inline uint32_t float_bits(float x) {
    const union {
        float value;
        uint32_t bits;
    } pun = {.value = x};
    return pun.bits;
}

// The float32 whose IEEE 754 encoding is bits.
inline float float_from_bits(uint32_t bits) {
    const union {
        uint32_t bits;
        float value;
    } pun = {.bits = bits};
    return pun.value;
}

// Reciprocal square root without hardware seed: an integer estimate y, then one cubic in e = x * y * y.
// The estimate leaves e in [0.75, 0.84375]; the minimax cubic RSQRT_SCALE ((e + A)^2 + B)(e + C) brings 4.1e-7 relative error.
#define RSQRT_SEED 0x5f200000u
#define RSQRT_SCALE (-0x1.63632ap-1f)
#define RSQRT_A (-0x1.558716p-1f)
#define RSQRT_B 0x1.4fb11ep+0f
#define RSQRT_C (-0x1.018996p+1f)
#define RSQRT_ROOT_E 0.8923f // square root of e, to 3 %

// Integer estimate of 1 / sqrt(x) * constant. x: normal, positive.
inline float rsqrt_seed(float x) { return float_from_bits(RSQRT_SEED - (float_bits(x) >> 1)); }

// 1 / sqrt(x). x: normal, positive.
inline float rsqrt32(float x) {
    const float seed = rsqrt_seed(x);
    const float e = x * seed * seed;
    const float shifted = e + RSQRT_A;
    const float y = seed * (RSQRT_SCALE * FMA32(shifted, shifted, RSQRT_B) * (e + RSQRT_C));
    const float root = x * y;
    const float lost = FMA32(x, y, -root);
    const float residue = FMA32(-lost, y, FMA32(-root, y, 1.0f)); // 1 - x * y * y
    return FMA32(0.5f * y, residue, y);
}

// Square root. x: zero, or normal and positive.
inline float sqrt32(float x) {
    if (!(x > 0.0f)) {
        return x;
    }
    const float y = rsqrt32(x);
    const float root = x * y;
    return FMA32(0.5f * y, FMA32(-root, root, x), root);
}

// 1 / x. |x| in [2^-125, 2^125]. Newton's iteration from an integer estimate that is off by at most 12 %.
inline float reciprocal32(float x) {
    float y = float_from_bits(0x7ef311c7u - float_bits(x));
    for (int iteration = 0; iteration < 4; ++iteration) {
        y = FMA32(y, FMA32(-x, y, 1.0f), y);
    }
    return y;
}

// a / b. |b| as for reciprocal32; quotient normal, or a = 0.
inline float divide32(float a, float b) {
    const float y = reciprocal32(b);
    const float quotient = a * y;
    return FMA32(FMA32(-b, quotient, a), y, quotient);
}

#define EXP_LOWEST (-80.0f)
#define EXP_HIGHEST 88.0f

// e^x. x below -80 counts as -80 and above 88 as 88, so that the result is always normal and finite.
inline float exp32(float x) {
    x = x < EXP_LOWEST ? EXP_LOWEST : x;
    x = x > EXP_HIGHEST ? EXP_HIGHEST : x;
    const float round_to_integer = 0x1.8p23f;
    const float shifted = FMA32(x, 0x1.715476p+0f, round_to_integer); // log2(e)
    const float n = shifted - round_to_integer;
    const float r = FMA32(n, 0x1.05c610p-29f, FMA32(n, -0x1.62e430p-1f, x)); // ln 2 in two parts
    float p = FMA32(r, 0x1.6db5bcp-10f, 0x1.123c78p-7f);
    p = FMA32(r, p, 0x1.55545cp-5f);
    p = FMA32(r, p, 0x1.55548ep-3f);
    p = FMA32(r, p, 0.5f);
    const float mantissa = 1.0f + FMA32(r * r, p, r);
    return float_from_bits(float_bits(mantissa) + (float_bits(shifted) << 23));
}

// Natural logarithm of hi + lo. hi: normal, positive; |lo| at most half an ulp of hi.
float log32_sum(float hi, float lo);

// Natural logarithm. x: normal, positive.
inline float log32(float x) { return log32_sum(x, 0.0f); }

// Sine and cosine of x quarter turns (x * pi / 2). x: [0, 1/2].
void sin_cos_quarter(float x, float *sine, float *cosine);

#endif
