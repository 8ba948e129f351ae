// Writes rows of four float32, a, b, c and fmaf(a, b, c), of which most are hard to compute: fma_cases COUNT SEED.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t draw(void) { // splitmix64
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float any(void) { return from_bits(draw()); }

// With an exponent field from `low` to `high`, and often few bits in the mantissa.
static float between(uint32_t low, uint32_t high) {
    const uint32_t exponent = low + draw() % (high - low + 1);
    const uint32_t mantissa = draw() & 0x7FFFFF;
    return from_bits((draw() & 0x80000000u) | exponent << 23 | (draw() % 2 ? mantissa : mantissa & -(draw() % 256)));
}

// a * b is half an ulp of c or a quarter, where c may be a power of two, exactly or off by a few units of its last bits.
static void near_tie(float c, float *a, float *b) {
    const float ulp = nextafterf(fabsf(c), INFINITY) - fabsf(c);
    const int exponent = ilogbf(ulp > 0.0f && isfinite(ulp) ? ulp : 0x1p-149f) - 1 - (int)(draw() % 2);
    const uint32_t off = draw() % 4 == 0 ? 0 : 1u << draw() % 12;
    const int part = exponent / 2;
    const float up = from_bits(0x3F800000u + off); // (1 + x)(1 - x) = 1 - x^2
    const float down = 2.0f - up;
    *a = ldexpf(up, part);
    *b = ldexpf(draw() % 2 ? down : 1.0f, exponent - part);
    *a = draw() % 2 ? *a : -*a;
}

int main(int count, char **words) {
    static const uint32_t special[] = {0x00000000, 0x80000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x3F800000,
                                       0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x33800000, 0x80000001};
    const long rows = count == 3 ? atol(words[1]) : 0;
    state = count == 3 ? (uint64_t)atol(words[2]) : 0;
    for (long i = 0; i < rows; ++i) {
        float a = any(), b = any(), c = any();
        switch (i % 8) {
        case 0: // anything
            break;
        case 1: // neighbours in size
            a = between(100, 150), b = between(100, 150), c = between(80, 170);
            break;
        case 2: // ties, and next to them
            c = between(60, 200);
            near_tie(c, &a, &b);
            break;
        case 3: // where results are subnormal, or about to be
            c = between(0, 2);
            near_tie(c, &a, &b);
            break;
        case 4: // all but a few ulps cancel
            a = between(60, 190), b = between(60, 190), c = -(a * b);
            c = from_bits((uint32_t)(*(uint32_t *)memcpy(&(uint32_t){0}, &c, 4) + draw() % 5 - 2));
            break;
        case 5: // products far below the smallest float, and about there
            a = between(0, 60), b = between(0, 70), c = between(0, 1);
            break;
        case 6: // about to overflow
            a = between(186, 254), b = between(186, 196), c = between(225, 254);
            if (draw() % 2) {
                c = from_bits((draw() & 0x80000000u) | 0x7F7FFFFFu);
                near_tie(c, &a, &b);
            }
            break;
        case 7: {
            float *one[] = {&a, &b, &c};
            *one[draw() % 3] = from_bits(special[draw() % (sizeof(special) / sizeof(special[0]))]);
            *one[draw() % 3] = from_bits(special[draw() % (sizeof(special) / sizeof(special[0]))]);
            break;
        }
        }
        const float row[] = {a, b, c, fmaf(a, b, c)};
        if (fwrite(row, sizeof(row), 1, stdout) != 1) {
            return EXIT_FAILURE;
        }
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
