// SPDX-License-Identifier: MIT
// The program: trains from scratch, then invents names, and prints what microgpt.py prints.
#include <stdbool.h>

#include "board/board.h"
#include "core/crc32.h"
#include "core/dataset.h"
#include "core/trainer.h"
#include "generated/run_config.h"
#include "math/math32.h"
#include "text/print.h"

static struct trainer trainer;

// The seed as random.seed() takes it, with room for one word more, should counting up carry into it.
static uint32_t seed[SEED_KEY_WORDS + 1] = SEED_KEY;
static uint32_t seed_words = SEED_KEY_WORDS;

static void print_line(const char *label, uint32_t value) {
    print_text(label);
    print_unsigned(value, 1);
    print_text("\n");
}

static void print_step(uint32_t number, float loss) {
    print_text("step ");
    print_unsigned(number, 4);
    print_text(" / ");
    print_unsigned(STEPS, 4);
    print_text(" | loss ");
    print_fixed4(loss);
    print_text("\n");
}

static void print_document(const uint8_t *tokens, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        print_character(trainer.dataset.characters[tokens[i]]);
    }
    print_text("\n");
}

// Decimal where one word holds it, else hexadecimal; the build takes both.
static void print_seed(void) {
    if (seed_words == 1) {
        print_unsigned(seed[0], 1);
        return;
    }
    print_text("0x");
    for (uint32_t i = seed_words; i-- > 0;) {
        print_hex(seed[i]);
    }
}

static void announce_seed(void) {
    print_text("# seed ");
    print_seed();
#if SEED_FROM_CHIP
    print_text(": drawn from the chip's noise, fit for this and not for cryptography; seed=");
    print_seed();
    print_text(" repeats the run anywhere");
#endif
    print_text("\n");
}

static void next_seed(void) {
    uint32_t i = 0;
    while (i < seed_words && ++seed[i] == 0) {
        ++i;
    }
    if (i == seed_words && seed_words <= SEED_KEY_WORDS) {
        seed[seed_words++] = 1;
    }
}

// Milliseconds that went by while the processor counted so many cycles.
static float milliseconds(uint64_t cycles) {
    const float counted = (float)(uint32_t)(cycles >> 32) * 0x1p32f + (float)(uint32_t)cycles;
    return divide32(counted, (float)board_cycles_per_millisecond());
}

#define MAY_BE_TOO_LARGE "; lr= may be too large" // one string for both: the linker shares what they end with

enum { LAST_STEPS = STEPS < 100 ? STEPS : 100 };

// Says so when the last steps' mean loss is more than half a nat above that of the first step and of guessing.
static void report_divergence(float first_loss, float last_losses) {
    const float guessing = log32((float)VOCAB_SIZE);
    const float mean = divide32(last_losses, (float)LAST_STEPS);
    if (mean > (first_loss > guessing ? first_loss : guessing) + 0.5f) {
        print_text("# training diverged to a mean loss of ");
        print_fixed4(mean);
        print_text(MAY_BE_TOO_LARGE);
        print_text("\n");
    }
}

static bool is_finite(float x) { return (float_bits(x) & 0x7f800000u) != 0x7f800000u; }

static void train(void) {
    uint32_t until_print = LOG_EVERY;
    uint64_t cycles = 0;
    float first_loss = 0.0f;
    float last_losses = 0.0f;
    for (uint32_t number = 1; number <= STEPS; ++number) {
        const uint32_t begin = board_cycles();
        const float loss = trainer_step(&trainer);
        cycles += board_cycles() - begin;
        board_alive();
        --until_print;
        if (number == 1 || until_print == 0 || number == STEPS || !is_finite(loss)) {
            print_step(number, loss);
        }
        if (!is_finite(loss)) {
            board_abort("the loss is not finite" MAY_BE_TOO_LARGE);
        }
        until_print = until_print == 0 ? LOG_EVERY : until_print;
        first_loss = number == 1 ? loss : first_loss;
        last_losses += number > STEPS - LAST_STEPS ? loss : 0.0f;
    }
    report_divergence(first_loss, last_losses);
    if (board_cycles_per_millisecond() != 0) {
        print_text("# time per step: ");
        print_fixed4(divide32(milliseconds(cycles), (float)STEPS));
        print_text(" ms\n");
    }
}

static void invent(void) {
    uint64_t cycles = 0;
    uint32_t tokens_drawn = 0;
    print_text("\n--- inference (new, hallucinated names) ---\n");
    for (uint32_t number = 1; number <= SAMPLES; ++number) {
        uint8_t tokens[BLOCK_SIZE];
        const uint32_t begin = board_cycles();
        const uint32_t length = trainer_sample(&trainer, tokens, TEMPERATURE);
        cycles += board_cycles() - begin;
        tokens_drawn += length < BLOCK_SIZE ? length + 1 : length;
        board_alive();
        print_text("sample ");
        print_unsigned(number, 2);
        print_text(": ");
        print_document(tokens, length);
    }
    if (board_cycles_per_millisecond() != 0) {
        print_text("# tokens per second: ");
        print_unsigned((uint32_t)divide32((float)tokens_drawn * 1000.0f, milliseconds(cycles)), 1);
        print_text("\n");
    }
}

static void invent_until_key(void) {
    (void)board_key_pressed(); // what was typed before this was offered is no answer to it
    print_text("# more names; a key starts over with the next seed\n");
    while (!board_key_pressed()) {
        uint8_t tokens[BLOCK_SIZE];
        print_document(tokens, trainer_sample(&trainer, tokens, TEMPERATURE));
        board_alive();
    }
}

static const char *what_is_wrong(enum dataset_error error) {
    switch (error) {
    case DATASET_MISSING:
        return "missing";
    case DATASET_OTHER_FORMAT:
        return "in another format";
    case DATASET_OTHER_ALPHABET:
        return "of another alphabet";
    case DATASET_EMPTY:
        return "empty";
    case DATASET_TOO_LARGE:
        return "too large";
    case DATASET_CUT_SHORT:
        return "cut short";
    case DATASET_WRONG_SIZE:
        return "size";
    case DATASET_WRONG_CHARACTERS:
        return "characters";
    case DATASET_WRONG_OFFSETS:
        return "offsets";
    case DATASET_WRONG_TOKENS:
        return "tokens";
    case DATASET_WRONG_CHECKSUM:
    case DATASET_OK:
        break;
    }
    return "checksum";
}

static void run(const struct dataset *dataset) {
    if (board_is_interactive()) {
        announce_seed();
    }
    print_line("num docs: ", dataset->documents);
    print_line("vocab size: ", VOCAB_SIZE);
    print_line("num params: ", N_PARAMETERS);
    trainer_begin(&trainer, dataset, seed, seed_words);
    board_alive();
    train();
    invent();
    print_text("weights crc32: ");
    print_hex(crc32(&arena.training.weights, sizeof(arena.training.weights)));
    print_text("\n");
}

int app_main(void) {
    struct dataset dataset;
    uint32_t capacity;
    const void *image = board_dataset(&capacity);
    const enum dataset_error error = dataset_open(image, capacity, &dataset);
    if (error != DATASET_OK) {
        print_text("# error: the data set is ");
        print_text(error < DATASET_WRONG_SIZE ? "" : "damaged: ");
        print_text(what_is_wrong(error));
        print_text("; build and flash both: scons flash\n");
        return 1;
    }
#if SEED_FROM_CHIP
    seed[0] = board_random();
#endif
    run(&dataset);
    while (board_is_interactive()) {
        invent_until_key();
        next_seed();
        run(&dataset);
    }
    return 0;
}
