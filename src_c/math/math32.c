// SPDX-License-Identifier: MIT
#include "math/math32.h"

extern inline uint32_t float_bits(float x);
extern inline float float_from_bits(uint32_t bits);
extern inline float rsqrt_seed(float x);
extern inline float rsqrt32(float x);
extern inline float sqrt32(float x);
extern inline float reciprocal32(float x);
extern inline float divide32(float a, float b);
extern inline float exp32(float x);
extern inline float log32(float x);

// Minimax coefficients of (log(1 + f) - f + f^2 / 2) / f^3 on [sqrt(1/2) - 1, sqrt(2) - 1]; error 0.1 ulp of the logarithm.
static float log1p_tail(float f) {
    float p = FMA32(f, -0x1.38b588p-4f, 0x1.055b6cp-3f);
    p = FMA32(f, p, -0x1.0d8542p-3f);
    p = FMA32(f, p, 0x1.22da1cp-3f);
    p = FMA32(f, p, -0x1.547244p-3f);
    p = FMA32(f, p, 0x1.99a008p-3f);
    p = FMA32(f, p, -0x1.000226p-2f);
    p = FMA32(f, p, 0x1.555554p-2f);
    return FMA32(-0.5f * f, f, f * f * f * p);
}

float log32_sum(float hi, float lo) {
    const uint32_t root_half = 0x3f3504f3u;
    const int32_t exponent = (int32_t)(float_bits(hi) - root_half) >> 23;
    const float mantissa = float_from_bits(float_bits(hi) - ((uint32_t)exponent << 23));
    const float scale = float_from_bits((uint32_t)(127 - exponent) << 23);
    const float f = FMA32(lo, scale, mantissa - 1.0f);
    const float n = (float)exponent;
    const float whole = n * 0x1.62e400p-1f; // the leading 16 bits of ln 2: exact
    const float sum = whole + f;
    const float lost = (whole - sum) + f;
    return sum + (lost + FMA32(n, 0x1.7f7d1cp-20f, log1p_tail(f)));
}

void sin_cos_quarter(float x, float *sine, float *cosine) {
    const float z = x * x;
    float p = FMA32(z, -0x1.2dd048p-8f, 0x1.466032p-4f);
    p = FMA32(z, p, -0x1.4abbc0p-1f);
    *sine = FMA32(x, 0x1.921fb6p+0f, x * FMA32(z, p, -0x1.777a5cp-25f)); // pi / 2 in two parts

    float q = FMA32(z, 0x1.dae686p-11f, -0x1.55ca32p-6f);
    q = FMA32(z, q, 0x1.03c1e8p-2f);
    const float half_square = 0x1.3bd3ccp+0f; // (pi / 2)^2 / 2 in two parts
    const float drop = z * half_square;
    const float head = 1.0f - drop;
    const float lost = ((1.0f - head) - drop) - FMA32(z, half_square, -drop);
    *cosine = head + (lost + z * FMA32(z, q, -0x1.37c8bcp-25f));
}
