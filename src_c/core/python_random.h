// SPDX-License-Identifier: MIT
// Python's random module: the same draws for the same seed. Integers are exact; real numbers are float32.
// Source: CPython's Lib/random.py and Modules/_randommodule.c; Matsumoto and Nishimura, MT19937 (2002).
#ifndef PYTHON_RANDOM_H
#define PYTHON_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#define RANDOM_STATE_WORDS 624

struct python_random {
    uint32_t state[RANDOM_STATE_WORDS];
    uint32_t next; // index of the next unused word
    bool has_gauss;
    float gauss; // second value of the last pair
};

// random.seed(n) for an integer: key holds |n| in 32-bit words, the least significant first. key_words >= 1 (one zero word for 0).
void random_seed(struct python_random *random, const uint32_t *key, uint32_t key_words);

// random.getrandbits(bits). bits: 1 .. 32.
uint32_t random_bits(struct python_random *random, uint32_t bits);

// random.random() rounded to float32; in [0, 1].
float random_uniform(struct python_random *random);

// random.gauss(0, deviation).
float random_gauss(struct python_random *random, float deviation);

// random.shuffle of indices[0 .. length - 1]. length: 1 .. 65535.
void random_shuffle(struct python_random *random, uint16_t *indices, uint32_t length);

// random.choices(range(length), weights)[0]. weights: not negative, at least one positive. length >= 1.
uint32_t random_choice(struct python_random *random, const float *weights, uint32_t length);

// What random_choice() picks when random() returns this number. uniform: in [0, 1].
uint32_t choice_at(float uniform, const float *weights, uint32_t length);

#endif
