// SPDX-License-Identifier: MIT
// The program: trains from scratch, then invents names, and prints what microgpt.py prints.
#include <stdbool.h>

#include "app/refusal.h"
#include "app/settings.h"
#include "board/board.h"
#include "core/dataset.h"
#include "core/learner.h"
#include "math/math32.h"
#include "text/print.h"

static struct learner learner;

static void print_line(const char *label, uint32_t value) {
    print_text(label);
    print_unsigned(value, 1);
    print_text("\n");
}

static void print_step(uint32_t number, float loss) {
    print_text("step ");
    print_unsigned(number, 4);
    print_text(" / ");
    print_unsigned(settings.steps, 4);
    print_text(" | loss ");
    print_fixed4(loss);
    print_text("\n");
}

static void print_document(const uint8_t *tokens, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        print_character(learner.dataset.characters[tokens[i]]);
    }
    print_text("\n");
}

// Decimal where one word holds it, else hexadecimal; the build takes both.
static void print_seed(void) {
    if (settings.seed_words == 1) {
        print_unsigned(settings.seed[0], 1);
        return;
    }
    print_text("0x");
    for (uint32_t i = settings.seed_words; i-- > 0;) {
        print_hex(settings.seed[i]);
    }
}

static void announce_seed(void) {
    print_text("# seed ");
    print_seed();
    if (settings.seed_from_chip) {
        print_text(": drawn from the chip's noise, fit for this and not for cryptography; seed=");
        print_seed();
        print_text(" repeats the run anywhere");
    }
    print_text("\n");
}

// Counts up, into the spare word behind the seed if need be; from there it starts again.
static void next_seed(uint32_t room) {
    uint32_t i = 0;
    while (i < settings.seed_words && ++settings.seed[i] == 0) {
        ++i;
    }
    if (i == settings.seed_words && i < room) {
        settings.seed[settings.seed_words++] = 1;
    }
}

// Milliseconds that went by while the processor counted so many cycles.
static float milliseconds(uint64_t cycles) {
    const float counted = (float)(uint32_t)(cycles >> 32) * 0x1p32f + (float)(uint32_t)cycles;
    return divide32(counted, (float)board_cycles_per_millisecond());
}

#define MAY_BE_TOO_LARGE "; lr= may be too large" // one string for both: the linker shares what they end with

// How many steps at the end tell whether training went anywhere.
static uint32_t last_steps(void) { return settings.steps < 100 ? settings.steps : 100; }

// Says so when the last steps' mean loss is more than half a nat above that of the first step and of guessing.
static void report_divergence(float first_loss, float last_losses) {
    const float guessing = log32((float)learner.model.shape.vocab_size);
    const float mean = divide32(last_losses, (float)last_steps());
    if (mean > (first_loss > guessing ? first_loss : guessing) + 0.5f) {
        print_text("# training diverged to a mean loss of ");
        print_fixed4(mean);
        print_text(MAY_BE_TOO_LARGE);
        print_text("\n");
    }
}

static bool is_finite(float x) { return (float_bits(x) & 0x7f800000u) != 0x7f800000u; }

static void train(void) {
    const uint32_t steps = settings.steps;
    uint32_t until_print = settings.log_every;
    uint64_t cycles = 0;
    float first_loss = 0.0f;
    float last_losses = 0.0f;
    for (uint32_t number = 1; number <= steps; ++number) {
        const uint32_t begin = board_cycles();
        const float loss = learner_step(&learner);
        cycles += board_cycles() - begin;
        board_feed_watchdog();
        --until_print;
        if (number == 1 || until_print == 0 || number == steps || !is_finite(loss)) {
            print_step(number, loss);
        }
        if (!is_finite(loss)) {
            board_abort("the loss is not finite" MAY_BE_TOO_LARGE);
        }
        until_print = until_print == 0 ? settings.log_every : until_print;
        first_loss = number == 1 ? loss : first_loss;
        last_losses += number > steps - last_steps() ? loss : 0.0f;
    }
    report_divergence(first_loss, last_losses);
    if (board_cycles_per_millisecond() != 0) {
        print_text("# time per step: ");
        print_fixed4(divide32(milliseconds(cycles), (float)steps));
        print_text(" ms\n");
    }
}

// Draws a document into the learner's own tokens, which are free between steps, and prints it. Returns the tokens drawn.
static uint32_t invent_one(uint64_t *cycles) {
    uint8_t *tokens = learner.model.tokens;
    const uint32_t block_size = learner.model.shape.block_size;
    const uint32_t begin = board_cycles();
    const uint32_t length = learner_complete(&learner, tokens, 0, settings.temperature);
    *cycles += board_cycles() - begin;
    print_document(tokens, length);
    board_feed_watchdog();
    return length < block_size ? length + 1 : length;
}

static void invent(void) {
    uint64_t cycles = 0;
    uint32_t tokens_drawn = 0;
    print_text("\n--- inference (new, hallucinated names) ---\n");
    for (uint32_t number = 1; number <= settings.samples; ++number) {
        print_text("sample ");
        print_unsigned(number, 2);
        print_text(": ");
        tokens_drawn += invent_one(&cycles);
    }
    if (board_cycles_per_millisecond() != 0) {
        print_text("# tokens per second: ");
        print_unsigned((uint32_t)divide32((float)tokens_drawn * 1000.0f, milliseconds(cycles)), 1);
        print_text("\n");
    }
}

static void invent_until_key(void) {
    uint64_t cycles = 0;
    (void)board_key_pressed(); // what was typed before this was offered is no answer to it
    print_text("# more names; a key starts over with the next seed\n");
    while (!board_key_pressed()) {
        invent_one(&cycles);
    }
}

static struct banks memory(void) {
    struct banks banks;
    for (banks.count = 0; banks.count < MOST_BANKS; ++banks.count) {
        struct bank *bank = &banks.bank[banks.count];
        bank->bytes = board_memory(banks.count, &bank->start);
        if (bank->bytes == 0) {
            break;
        }
    }
    return banks;
}

static void run(const struct plan_request *request, const struct banks *banks, const struct dataset *dataset) {
    if (board_is_interactive()) {
        announce_seed();
    }
    const struct recipe recipe = {settings.seed, settings.seed_words, settings.steps, settings.learning_rate};
    print_line("num docs: ", dataset->documents);
    print_line("vocab size: ", dataset->vocab_size);
    print_line("num params: ", shape_parameters(&request->shape));
    learner_begin(&learner, request, banks, dataset, &recipe);
    board_feed_watchdog();
    train();
    invent();
    print_text("weights crc32: ");
    print_hex(learner_checksum(&learner));
    print_text("\n");
}

int app_main(void) {
    struct dataset dataset;
    uint32_t capacity;
    const void *image = board_dataset(&capacity);
    const enum dataset_error error = dataset_open(image, capacity, &dataset);
    if (error != DATASET_OK) {
        print_text("# error: ");
        print_dataset_error(error);
        print_text("; build and flash both: scons flash\n");
        return 1;
    }
    const struct plan_request request = {
        .shape = {settings.n_embd, settings.n_head, settings.n_layer, settings.block_size, dataset.vocab_size},
        .documents = dataset.documents,
        .steps = settings.steps,
    };
    const struct banks banks = memory();
    if (shape_check(&request.shape) != SHAPE_OK || plan_missing(&request, &banks) > 0) {
        print_text("# error: ");
        if (shape_check(&request.shape) != SHAPE_OK) {
            print_shape_error(&request.shape);
        } else {
            print_missing_memory(&request, &banks);
        }
        print_text("\n");
        return 1;
    }
    if (settings.seed_from_chip) {
        settings.seed[0] = board_random();
    }
    const uint32_t seed_room = settings.seed_words + 1;
    run(&request, &banks, &dataset);
    while (board_is_interactive()) {
        invent_until_key();
        next_seed(seed_room);
        run(&request, &banks, &dataset);
    }
    return 0;
}
