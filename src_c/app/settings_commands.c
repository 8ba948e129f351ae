// SPDX-License-Identifier: MIT
#include <stdbool.h>
#include <stddef.h>

#include "app/command_list.h"
#include "app/parse.h"
#include "app/program.h"
#include "app/remember.h"
#include "app/settings.h"
#include "board/board.h"
#include "core/training_time.h"
#include "generated/version.h"
#include "text/print.h"

// The settings that can be changed, less the seed, which has a length of its own.
static const struct {
    const char *name;
    uint16_t offset; // in struct settings
    bool is_real;
    bool at_once; // for the model as it is; else for a new start
    uint32_t least; // of whole numbers
    uint32_t most;
    float least_real;
    float most_real;
} list[] = {
    {"n_embd", offsetof(struct settings, n_embd), false, false, 1, MOST_N_EMBD, 0, 0},
    {"n_head", offsetof(struct settings, n_head), false, false, 1, MOST_N_HEAD, 0, 0},
    {"n_layer", offsetof(struct settings, n_layer), false, false, 1, MOST_N_LAYER, 0, 0},
    {"block_size", offsetof(struct settings, block_size), false, false, 1, MOST_BLOCK_SIZE, 0, 0},
    {"steps", offsetof(struct settings, steps), false, false, 1, MOST_STEPS, 0, 0},
    {"samples", offsetof(struct settings, samples), false, true, 1, MOST_SAMPLES, 0, 0},
    {"log_every", offsetof(struct settings, log_every), false, true, 1, MOST_STEPS, 0, 0},
    {"save_every", offsetof(struct settings, save_every), false, true, 0, MOST_STEPS, 0, 0},
    {"lr", offsetof(struct settings, learning_rate), true, true, 0, 0, 1e-9f, 100.0f},
    {"temperature", offsetof(struct settings, temperature), true, true, 0, 0, 1e-3f, 1e3f},
};
enum { LISTED = sizeof(list) / sizeof(list[0]) };

// The place of a name in the list, or LISTED.
static uint32_t find_listed(const char *name) {
    uint32_t i = 0;
    while (i < LISTED && !same_text(name, list[i].name)) {
        ++i;
    }
    return i;
}

static void *value_of(struct settings *table, uint32_t i) { return (char *)table + list[i].offset; }

static void print_setting(uint32_t i) {
    const void *value = value_of(&settings, i);
    print_text(list[i].name);
    print_text("=");
    if (list[i].is_real) {
        print_short(*(const float *)value);
    } else {
        print_unsigned(*(const uint32_t *)value, 1);
    }
}

// As lines that can be typed.
static void print_settings(void) {
    print_text("set");
    for (uint32_t i = 0; i < LISTED; ++i) {
        print_text(list[i].at_once && !list[i - 1].at_once ? "\nset " : " ");
        print_setting(i);
    }
    print_text("\nset seed=");
    print_seed();
    print_text("\n");
}

static enum command_state refuse(const char *name, const char *value, const char *what) {
    print_text("error: ");
    print_text(name);
    print_text("=");
    print_text(value);
    print_text(what);
    return COMMAND_FAILED;
}

static enum command_state set_listed(struct settings *wanted, uint32_t i, const char *text) {
    if (list[i].is_real) {
        float value;
        if (!parse_real(text, &value) || value < list[i].least_real || value > list[i].most_real) {
            refuse(list[i].name, text, " must be a number from ");
            print_short(list[i].least_real);
            print_text(" to ");
            print_short(list[i].most_real);
            print_text("; nothing was changed\n");
            return COMMAND_FAILED;
        }
        *(float *)value_of(wanted, i) = value;
        return COMMAND_DONE;
    }
    uint32_t value;
    if (!parse_whole(text, &value) || value < list[i].least || value > list[i].most) {
        refuse(list[i].name, text, " must be a whole number from ");
        print_unsigned(list[i].least, 1);
        print_text(" to ");
        print_unsigned(list[i].most, 1);
        print_text("; nothing was changed\n");
        return COMMAND_FAILED;
    }
    *(uint32_t *)value_of(wanted, i) = value;
    return COMMAND_DONE;
}

// Checks a seed without keeping it, for the rest of the line may be refused; then, with keep, keeps it.
static enum command_state set_seed(const char *text, bool keep) {
    if (same_text(text, "hw")) {
        settings.seed_from_chip = keep ? 1 : settings.seed_from_chip;
        return board_is_interactive() ? COMMAND_DONE : refuse("seed", text, ": only the chip draws one; nothing was changed\n");
    }
    uint32_t words[MOST_SEED_WORDS];
    const uint32_t room = settings.seed_room < MOST_SEED_WORDS ? settings.seed_room : MOST_SEED_WORDS;
    const uint32_t count = parse_seed(text, words, room);
    if (count == 0) {
        return refuse("seed", text, " must be an integer, or hw; nothing was changed\n");
    }
    if (count > room) {
        return refuse("seed", text, " is too long for the console; nothing was changed\n");
    }
    for (uint32_t i = 0; keep && i < count; ++i) {
        settings.seed[i] = words[i];
    }
    settings.seed_words = keep ? count : settings.seed_words;
    settings.seed_from_chip = keep ? 0 : settings.seed_from_chip;
    return COMMAND_DONE;
}

static enum command_state set_one(struct settings *wanted, char *word, const char **seed) {
    char *value = word;
    while (*value != '\0' && *value != '=') {
        ++value;
    }
    if (*value == '=') {
        *value++ = '\0';
        const uint32_t i = find_listed(word);
        if (i < LISTED) {
            return set_listed(wanted, i, value);
        }
        if (same_text(word, "seed")) {
            *seed = value;
            return set_seed(value, false);
        }
    }
    print_text("error: ");
    print_text(word);
    print_text(" is no setting; set alone shows them; nothing was changed\n");
    return COMMAND_FAILED;
}

// Whether the settings make another model or another run of it.
static bool needs_new_start(struct settings *wanted) {
    for (uint32_t i = 0; i < LISTED; ++i) {
        const uint32_t *now = value_of(&settings, i);
        const uint32_t *then = value_of(wanted, i);
        if (!list[i].at_once && *now != *then) {
            return true;
        }
    }
    return false;
}

enum command_state set(char *arguments) {
    if (*arguments == '\0') {
        print_settings();
        return COMMAND_DONE;
    }
    struct settings wanted = settings; // without the seed, which lies behind
    const char *seed = NULL;
    while (*arguments != '\0') {
        if (set_one(&wanted, next_word(&arguments), &seed) != COMMAND_DONE) {
            return COMMAND_FAILED;
        }
    }
    struct plan_request request = program_request();
    request.shape.n_embd = wanted.n_embd;
    request.shape.n_head = wanted.n_head;
    request.shape.n_layer = wanted.n_layer;
    request.shape.block_size = wanted.block_size;
    request.steps = wanted.steps;
    if (!program_accepts(&request, "error: nothing was changed: ")) {
        return COMMAND_FAILED;
    }
    const bool new_start = needs_new_start(&wanted) || seed != NULL;
    settings = wanted;
    if (seed != NULL) {
        set_seed(seed, true);
    }
    program.learner.learning_rate = settings.learning_rate;
    if (new_start && program.has_model) {
        program.is_outdated = true;
        print_text("# the next train starts anew; until then the model stays as it is\n");
    }
    return COMMAND_DONE;
}

enum command_state temperature(char *arguments) {
    const uint32_t i = find_listed("temperature");
    if (*arguments == '\0') {
        print_setting(i);
        print_text("\n");
        return COMMAND_DONE;
    }
    return set_listed(&settings, i, arguments);
}

static void print_labelled(const char *label, uint32_t value) {
    print_text(label);
    print_unsigned(value, 1);
}

#define TYPICAL_MHZ 240 // of an ESP32
#define MOST_DECIMALS 4u // of seconds

// How long the model's training takes a chip: this one, or elsewhere one with the cores that the settings ask for.
static void print_time(void) {
    const struct plan_request *request = &program.request;
    const uint32_t mhz = board_is_chip() ? board_cycles_per_millisecond() / 1000 : TYPICAL_MHZ;
    const uint32_t cores = board_is_chip() ? program.team.members : settings.cores;
    const struct positions positions =
        positions_of_text(program.dataset.offsets, program.dataset.documents, request->shape.block_size);
    const float seconds = training_seconds(&request->shape, &positions, request->steps, program.learner.learning_rate, cores, (float)mhz);
    uint32_t decimals = 0;
    for (float first_digits = seconds; first_digits < 10.0f && decimals < MOST_DECIMALS; first_digits *= 10.0f) {
        ++decimals;
    }
    print_text("time: about ");
    print_fixed(seconds, decimals);
    print_labelled(" s for ", request->steps);
    print_labelled(" steps of an ESP32 with cores=", cores);
    print_labelled(" at ", mhz);
    print_text(" MHz, by the cycle model\n");
}

static void print_memory(void) {
#define NAME(name, text) text,
    static const char *const purposes[] = {PURPOSES(NAME)};
#undef NAME
    struct plan plan;
    uint32_t bytes[PURPOSE_COUNT];
    uint32_t taken = 0;
    uint32_t there = 0;
    plan_make(&plan, &program.request, &program.banks);
    plan_purposes(&plan, bytes);
    for (uint32_t i = 0; i < program.banks.count; ++i) {
        taken += plan_extent(&plan, i);
        there += program.banks.bank[i].bytes;
    }
    print_labelled("memory: ", taken);
    print_labelled(" of ", there);
    print_text(" bytes\n");
    for (uint32_t i = 0; i < PURPOSE_COUNT; ++i) {
        print_unsigned(bytes[i], 10);
        print_text("  ");
        print_text(purposes[i]);
        print_text("\n");
    }
}

enum command_state info(char *arguments) {
    (void)arguments;
    const struct model_shape *shape = &program.request.shape;
    print_text("microgpt-lx6 " VERSION "\n");
    board_print_info();
    print_labelled("cores: ", program.team.members);
    print_labelled("\ntext: ", program.dataset.documents);
    print_labelled(" documents, ", program.dataset.vocab_size - 1);
    print_text(" characters, crc32 ");
    print_hex(dataset_crc32(&program.dataset));
    print_text("\n");
    if (!program.has_model) {
        print_text("model: none yet\n");
        return COMMAND_DONE;
    }
    print_labelled("model: n_embd=", shape->n_embd);
    print_labelled(" n_head=", shape->n_head);
    print_labelled(" n_layer=", shape->n_layer);
    print_labelled(" block_size=", shape->block_size);
    print_labelled(", ", shape_parameters(shape));
    print_text(" parameters\n");
    print_text("training: ");
    if (!program.is_outdated) { // or the seed is that of the next start
        print_text("seed ");
        print_seed();
        print_text(", ");
    }
    if (program.learner.model.generates) {
        print_text("none of weights alone");
    } else {
        print_labelled("step ", program.learner.step);
        print_labelled(" of ", program.learner.steps);
    }
    print_text(", weights crc32 ");
    print_hex(learner_checksum(&program.learner));
    print_text("\n");
    if (!program.learner.model.generates) {
        print_time();
    }
    print_memory();
    remember_print_wear();
    if (program.is_outdated) {
        print_text("# settings have changed: the next train starts anew\n");
    }
    return COMMAND_DONE;
}

enum command_state reset(char *arguments) {
    (void)arguments;
    board_reset();
}
