// SPDX-License-Identifier: MIT
// The program: trains from scratch, then invents names, and prints what microgpt.py prints.
#include "app/console.h"
#include "board/board.h"
#include "core/crc32.h"
#include "core/dataset.h"
#include "core/trainer.h"
#include "generated/run_config.h"

static struct trainer trainer;

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

static void train(void) {
    uint32_t until_print = LOG_EVERY;
    for (uint32_t number = 1; number <= STEPS; ++number) {
        const float loss = trainer_step(&trainer);
        --until_print;
        if (number == 1 || until_print == 0 || number == STEPS) {
            print_step(number, loss);
        }
        until_print = until_print == 0 ? LOG_EVERY : until_print;
    }
}

static void invent(void) {
    print_text("\n--- inference (new, hallucinated names) ---\n");
    for (uint32_t number = 1; number <= SAMPLES; ++number) {
        uint8_t tokens[BLOCK_SIZE];
        const uint32_t length = trainer_sample(&trainer, tokens, TEMPERATURE);
        print_text("sample ");
        print_unsigned(number, 2);
        print_text(": ");
        for (uint32_t i = 0; i < length; ++i) {
            print_character(trainer.dataset.characters[tokens[i]]);
        }
        print_text("\n");
    }
}

static const char *explain(enum dataset_error error) {
    switch (error) {
    case DATASET_NO_MAGIC:
        return "there is no data set where one is expected; flash dataset.bin beside the firmware";
    case DATASET_OTHER_VERSION:
        return "the data set has another format version; build and flash both again";
    case DATASET_OTHER_MODEL:
        return "the data set is not the one this firmware was built for; build and flash both again";
    default:
        return "the data set is damaged (its checksum differs); flash it again";
    }
}

int app_main(void) {
    static const uint32_t seed_key[] = SEED_KEY;
    struct dataset dataset;
    const enum dataset_error error = dataset_open(board_dataset(), &dataset);
    if (error != DATASET_OK) {
        print_text("# error: ");
        print_text(explain(error));
        print_text("\n");
        return 1;
    }
    print_line("num docs: ", NUM_DOCS);
    print_line("vocab size: ", VOCAB_SIZE);
    print_line("num params: ", N_PARAMETERS);
    trainer_begin(&trainer, &dataset, seed_key, SEED_KEY_WORDS);
    train();
    invent();
    print_text("weights crc32: ");
    print_hex(crc32(&arena.training.weights, sizeof(arena.training.weights)));
    print_text("\n");
    return 0;
}
