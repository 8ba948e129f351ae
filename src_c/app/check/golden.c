// SPDX-License-Identifier: MIT
// Functions and generator against the bits that they have everywhere.
#include "app/check/checks.h"

#include "core/python_random.h"
#include "math/math32.h"
#include "text/print.h"

enum { VALUES = 12 };

// exp, log, square root and reciprocal, over the range that each is made for: argument, result.
static const uint32_t golden[FUNCTIONS][VALUES][2] = {
    {
        {0xc2a00000u, 0x05bfecbau}, {0xc1a40000u, 0x30abd1d8u}, {0xc0533333u, 0x3d1712ceu},
        {0xbf800000u, 0x3ebc5ab2u}, {0xbdcccccdu, 0x3f67a36du}, {0xb8d1b717u, 0x3f7ff972u},
        {0x00000000u, 0x3f800000u}, {0x38d1b717u, 0x3f800347u}, {0x3f000000u, 0x3fd3094cu},
        {0x3f800000u, 0x402df854u}, {0x40e80000u, 0x44b0035bu}, {0x42af0000u, 0x7e96bab3u},
    },
    {
        {0x0082ab1eu, 0xc2aea1bfu}, {0x05bf68a9u, 0xc2a00161u}, {0x2edbe6ffu, 0xc1b834f1u},
        {0x3a83126fu, 0xc0dd0c55u}, {0x3d17b426u, 0xc052eefeu}, {0x3f000000u, 0xbf317218u},
        {0x3f7fffffu, 0xb3800000u}, {0x3f800000u, 0x00000000u}, {0x3f800001u, 0x33ffffffu},
        {0x40000000u, 0x3f317218u}, {0x41d80000u, 0x4052eefeu}, {0x7df0bdc2u, 0x42ad29f4u},
    },
    {
        {0x00000000u, 0x00000000u}, {0x0082ab1eu, 0x200153ccu}, {0x24e69595u, 0x322bcc77u},
        {0x3727c5acu, 0x3b4f3e37u}, {0x3e800000u, 0x3f000000u}, {0x3eaaaaabu, 0x3f13cd3au},
        {0x3f7fffffu, 0x3f7fffffu}, {0x40000000u, 0x3fb504f3u}, {0x40400000u, 0x3fddb3d7u},
        {0x41200000u, 0x404a62c2u}, {0x47800080u, 0x43800040u}, {0x7f61b1e6u, 0x5f705eceu},
    },
    {
        {0x012355e6u, 0x7dc89e21u}, {0xb727c5acu, 0xc7c35000u}, {0x3dcccccdu, 0x41200000u},
        {0x3eaaaaabu, 0x40400000u}, {0x3f333333u, 0x3fb6db6eu}, {0x3f800000u, 0x3f800000u},
        {0x3f800001u, 0x3f7ffffeu}, {0x40400000u, 0x3eaaaaabu}, {0xc0e00000u, 0xbe124925u},
        {0x42440000u, 0x3ca72f05u}, {0x47800080u, 0x377fff00u}, {0x7df0bdc2u, 0x01081ceau},
    },
};

static float result(uint32_t function, float x) {
    switch (function) {
    case 0:
        return exp32(x);
    case 1:
        return log32(x);
    case 2:
        return sqrt32(x);
    default:
        return reciprocal32(x);
    }
}

const char *function_name(uint32_t function) {
    static const char *const names[FUNCTIONS] = {"exp", "log", "sqrt", "reciprocal"};
    return names[function];
}

enum verdict check_function(uint32_t function) {
    bool right = true;
    for (uint32_t i = 0; i < VALUES; ++i) {
        const volatile uint32_t *pair = golden[function][i]; // or the compiler would know the result
        const uint32_t found = float_bits(result(function, float_from_bits(pair[0])));
        if (found != pair[1]) {
            print_text("  of ");
            print_hex(pair[0]);
            print_text(": ");
            print_hex(found);
            print_text(" instead of ");
            print_hex(pair[1]);
            print_text("\n");
            right = false;
        }
    }
    return right ? VERDICT_RIGHT : VERDICT_WRONG;
}

// What Python's generator gives from seed 42: the sum of 1,000 draws of 32 bits, then four normal numbers (the second an ulp
// off, as core/python_random.h allows), then a shuffle.
static const uint32_t golden_sum = 0x4025ff2e;
static const volatile uint32_t golden_normals[] = {0xbe2c32f3, 0xbe265d03, 0xbf81c392, 0x3f4be1b5};
static const uint16_t golden_shuffle[] = {5, 2, 4, 9, 7, 3, 8, 6, 1, 0};

enum { DRAWS = 1000, NORMALS = sizeof(golden_normals) / sizeof(golden_normals[0]) };
enum { SHUFFLED = sizeof(golden_shuffle) / sizeof(golden_shuffle[0]) };

enum verdict check_random(void) {
    const struct bank memory = scratch_memory();
    if (memory.bytes < sizeof(struct python_random)) {
        return VERDICT_SKIPPED;
    }
    struct python_random *random = memory.start;
    const uint32_t seed = 42;
    random_seed(random, &seed, 1);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < DRAWS; ++i) {
        sum += random_bits(random, 32);
    }
    bool right = sum == golden_sum;
    for (uint32_t i = 0; i < NORMALS; ++i) {
        right = float_bits(random_gauss(random, 1.0f)) == golden_normals[i] && right;
    }
    uint16_t numbers[SHUFFLED];
    for (uint16_t i = 0; i < SHUFFLED; ++i) {
        numbers[i] = i;
    }
    random_shuffle(random, numbers, SHUFFLED);
    for (uint32_t i = 0; i < SHUFFLED; ++i) {
        right = numbers[i] == golden_shuffle[i] && right;
    }
    return right ? VERDICT_RIGHT : VERDICT_WRONG;
}
