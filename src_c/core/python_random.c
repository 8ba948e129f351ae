// SPDX-License-Identifier: MIT
#include "core/python_random.h"

#include "math/math32.h"

#define SHIFT_WORDS 397u

static void seed_word(struct python_random *random, uint32_t seed) {
    random->state[0] = seed;
    for (uint32_t i = 1; i < RANDOM_STATE_WORDS; ++i) {
        const uint32_t previous = random->state[i - 1];
        random->state[i] = 1812433253u * (previous ^ (previous >> 30)) + i;
    }
}

// Moves to the word after i; behind the last one stands the first, which then repeats the last.
static uint32_t following_word(struct python_random *random, uint32_t i) {
    if (i + 1 < RANDOM_STATE_WORDS) {
        return i + 1;
    }
    random->state[0] = random->state[RANDOM_STATE_WORDS - 1];
    return 1;
}

void random_seed(struct python_random *random, const uint32_t *key, uint32_t key_words) {
    uint32_t *state = random->state;
    const uint32_t rounds = key_words > RANDOM_STATE_WORDS ? key_words : RANDOM_STATE_WORDS;
    uint32_t i = 1;
    uint32_t k = 0;
    seed_word(random, 19650218u);
    for (uint32_t round = 0; round < rounds; ++round) {
        const uint32_t mixed = (state[i - 1] ^ (state[i - 1] >> 30)) * 1664525u;
        state[i] = (state[i] ^ mixed) + key[k] + k;
        i = following_word(random, i);
        k = k + 1 < key_words ? k + 1 : 0;
    }
    for (uint32_t round = 1; round < RANDOM_STATE_WORDS; ++round) {
        const uint32_t mixed = (state[i - 1] ^ (state[i - 1] >> 30)) * 1566083941u;
        state[i] = (state[i] ^ mixed) - i;
        i = following_word(random, i);
    }
    state[0] = 0x80000000u;
    random->next = RANDOM_STATE_WORDS;
    random->has_gauss = false;
}

static void refill(struct python_random *random) {
    uint32_t *state = random->state;
    for (uint32_t i = 0; i < RANDOM_STATE_WORDS; ++i) {
        const uint32_t after = i + 1 < RANDOM_STATE_WORDS ? i + 1 : 0;
        const uint32_t far = i + SHIFT_WORDS < RANDOM_STATE_WORDS ? i + SHIFT_WORDS : i + SHIFT_WORDS - RANDOM_STATE_WORDS;
        const uint32_t joined = (state[i] & 0x80000000u) | (state[after] & 0x7fffffffu);
        state[i] = state[far] ^ (joined >> 1) ^ ((joined & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
    random->next = 0;
}

static uint32_t next_word(struct python_random *random) {
    if (random->next == RANDOM_STATE_WORDS) {
        refill(random);
    }
    uint32_t word = random->state[random->next++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

uint32_t random_bits(struct python_random *random, uint32_t bits) { return next_word(random) >> (32 - bits); }

// random.random() has 53 bits, more than a float32 holds: the leading 21 of them, and the sum of the other 32.
struct fraction {
    uint32_t leading; // in units of 2^-21
    float rest;       // below 2^-21
};

static struct fraction next_fraction(struct python_random *random) {
    const uint32_t high = next_word(random) >> 5; // 27 bits
    const uint32_t low = next_word(random) >> 6;  // 26 bits
    const uint32_t rest = ((high & 0x3fu) << 26) | low;
    const float upper = (float)(rest >> 16);
    const float lower = (float)(rest & 0xffffu);
    return (struct fraction){.leading = high >> 6, .rest = upper * 0x1p-37f + lower * 0x1p-53f};
}

float random_uniform(struct python_random *random) {
    const struct fraction u = next_fraction(random);
    return (float)u.leading * 0x1p-21f + u.rest;
}

// cos and sin of a whole turn times u. The quadrant and the octant are taken off while the fraction is still exact.
static void sin_cos_turn(struct fraction u, float *sine, float *cosine) {
    const uint32_t quadrant = u.leading >> 19;
    const float high = (float)(u.leading & 0x7ffffu) * 0x1p-19f; // of a quarter turn
    const float low = u.rest * 4.0f;
    float s;
    float c;
    if (high < 0.5f) {
        sin_cos_quarter(high + low, &s, &c);
    } else {
        sin_cos_quarter((1.0f - high) - low, &c, &s);
    }
    const float turned_sine = quadrant & 1 ? c : s;
    const float turned_cosine = quadrant & 1 ? s : c;
    *sine = quadrant & 2 ? -turned_sine : turned_sine;
    *cosine = (quadrant + 1) & 2 ? -turned_cosine : turned_cosine;
}

// log(1 - u), accurate near u = 0 as well.
static float log_complement(struct fraction u) {
    const float leading = 1.0f - (float)u.leading * 0x1p-21f;
    const float complement = leading - u.rest;
    return log32_sum(complement, (leading - complement) - u.rest);
}

float random_gauss(struct python_random *random, float deviation) {
    if (random->has_gauss) {
        random->has_gauss = false;
        return random->gauss * deviation;
    }
    const struct fraction angle = next_fraction(random);
    const float radius = sqrt32(-2.0f * log_complement(next_fraction(random)));
    float sine;
    float cosine;
    sin_cos_turn(angle, &sine, &cosine);
    random->gauss = sine * radius;
    random->has_gauss = true;
    return cosine * radius * deviation;
}

// random._randbelow: the first draw of just enough bits that is below n.
static uint32_t random_below(struct python_random *random, uint32_t n) {
    uint32_t bits = 1;
    while (n >> bits != 0) {
        ++bits;
    }
    uint32_t draw;
    do {
        draw = random_bits(random, bits);
    } while (draw >= n);
    return draw;
}

void random_shuffle(struct python_random *random, uint16_t *indices, uint32_t length) {
    for (uint32_t i = length - 1; i > 0; --i) {
        const uint32_t j = random_below(random, i + 1);
        const uint16_t swapped = indices[i];
        indices[i] = indices[j];
        indices[j] = swapped;
    }
}

uint32_t choice_at(float uniform, const float *weights, uint32_t length) {
    float total = 0.0f;
    for (uint32_t i = 0; i < length; ++i) {
        total += weights[i];
    }
    const float drawn = uniform * total;
    float cumulative = 0.0f;
    for (uint32_t i = 0; i + 1 < length; ++i) {
        cumulative += weights[i];
        if (drawn < cumulative) {
            return i;
        }
    }
    return length - 1;
}

uint32_t random_choice(struct python_random *random, const float *weights, uint32_t length) {
    return choice_at(random_uniform(random), weights, length);
}
