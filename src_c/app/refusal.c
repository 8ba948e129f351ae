// SPDX-License-Identifier: MIT
#include "app/refusal.h"

#include <stdbool.h>

#include "text/print.h"

static const char *what_is_wrong(enum dataset_error error) {
    switch (error) {
    case DATASET_MISSING:
        return "missing";
    case DATASET_OTHER_FORMAT:
        return "in another format";
    case DATASET_OTHER_ALPHABET:
        return "without characters, or with more than 255";
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

void print_dataset_error(enum dataset_error error) {
    print_text("the data set is ");
    print_text(error < DATASET_WRONG_SIZE ? "" : "damaged: ");
    print_text(what_is_wrong(error));
}

static void print_value(const char *name, uint32_t value) {
    print_text(name);
    print_unsigned(value, 1);
}

void print_shape_error(const struct model_shape *shape) {
    const struct {
        const char *name;
        uint32_t value;
        uint32_t least;
        uint32_t most;
    } ranges[] = {
        {"n_embd=", shape->n_embd, 1, MOST_N_EMBD},
        {"n_head=", shape->n_head, 1, MOST_N_HEAD},
        {"n_layer=", shape->n_layer, 1, MOST_N_LAYER},
        {"block_size=", shape->block_size, 1, MOST_BLOCK_SIZE},
        {"vocab_size=", shape->vocab_size, 2, MOST_VOCAB_SIZE},
    };
    for (uint32_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); ++i) {
        if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most) {
            print_value(ranges[i].name, ranges[i].value);
            print_value(" must be from ", ranges[i].least);
            print_value(" to ", ranges[i].most);
            return;
        }
    }
    if (shape_check(shape) != SHAPE_OK) {
        print_value("n_embd=", shape->n_embd);
        print_value(" is not divisible by n_head=", shape->n_head);
    }
}

void print_missing_memory(const struct plan_request *request, const struct banks *banks) {
    static const char *const names[REDUCIBLE_COUNT] = {
        [REDUCE_N_EMBD] = "n_embd=",
        [REDUCE_N_LAYER] = "n_layer=",
        [REDUCE_BLOCK_SIZE] = "block_size=",
        [REDUCE_STEPS] = "steps=",
    };
    print_value("memory lacks ", plan_missing(request, banks));
    print_text(" bytes; ");
    bool found = false;
    for (uint32_t number = 0; number < REDUCIBLE_COUNT; ++number) {
        const uint32_t value = plan_reduced(request, banks, (enum reducible)number);
        if (value > 0) {
            print_text(found ? " or " : "it would fit with ");
            print_value(names[number], value);
            found = true;
        }
    }
    if (!found) {
        print_text("no one number made smaller helps");
    }
}

static const char *what_it_is(enum checkpoint_error error) {
    switch (error) {
    case CHECKPOINT_MISSING:
        return "there is no checkpoint";
    case CHECKPOINT_OTHER_VERSION:
        return "the checkpoint is in another format";
    case CHECKPOINT_CUT_SHORT:
        return "the checkpoint is cut short";
    case CHECKPOINT_OTHER_TEXT:
        return "the checkpoint is of another text";
    case CHECKPOINT_OTHER_ALPHABET:
        return "the checkpoint is of a text with other characters";
    case CHECKPOINT_TOO_LARGE:
        return "the checkpoint's model does not fit: ";
    case CHECKPOINT_OTHER_OPTIONS:
        return "the checkpoint is of a firmware with other options; load goes on from it";
    case CHECKPOINT_LONG_SEED:
        return "the checkpoint's seed is longer than this program has room for";
    case CHECKPOINT_DAMAGED_HEADER:
    case CHECKPOINT_DAMAGED:
    case CHECKPOINT_OK:
        break;
    }
    return "the checkpoint is damaged";
}

void print_checkpoint_error(enum checkpoint_error error, const struct plan_request *request, const struct banks *banks) {
    print_text(what_it_is(error));
    if (error == CHECKPOINT_TOO_LARGE) {
        print_missing_memory(request, banks);
    }
}
