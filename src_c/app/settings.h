// SPDX-License-Identifier: MIT
// The options that the program starts with: a table in the image, which the build fills in and nothing is compiled for.
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdint.h>

#define MOST_SAMPLES 1000000u
#define MOST_SEED_WORDS 8u // of a seed that is typed; one that the build packs may be longer

// What to do at the start where there is a checkpoint of this text.
enum start {
    START_RESUME, // go on with it, if it comes from a firmware with the same options for model and training
    START_NAMES,  // invent from it, and wait; train goes on
    START_FRESH,  // leave it alone
};

// site_scons/mgbuild/plan/settings_table.py writes it, and finds it in an image by its first bytes.
struct settings {
    char magic[8];
    uint32_t n_embd;
    uint32_t n_head;
    uint32_t n_layer;
    uint32_t block_size;
    uint32_t steps;
    uint32_t samples;
    uint32_t log_every;
    uint32_t save_every; // steps between checkpoints, where they are kept; 0: at the end of training alone
    uint32_t cores; // that learn, where there are as many: 1 or 2
    float learning_rate;
    float temperature;
    uint32_t console;        // 1: commands are taken after the run where the board is not interactive too
    uint32_t start;          // enum start
    uint32_t seed_from_chip; // 1: seed=hw
    uint32_t seed_room;      // words that `seed` has room for
    uint32_t seed_words;     // what random_seed() takes, the least significant word first, in `seed`
    uint32_t seed[];
};
extern struct settings settings;

#endif
