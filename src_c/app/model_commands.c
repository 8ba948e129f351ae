// SPDX-License-Identifier: MIT
#include <stdbool.h>
#include <stddef.h>

#include "app/command_list.h"
#include "app/parse.h"
#include "app/program.h"
#include "app/remember.h"
#include "app/run.h"
#include "app/settings.h"
#include "math/math32.h"
#include "text/print.h"

enum { COLUMNS = 80, NUMBER_DECIMALS = 6, SOME_NAMES = 5, SOME_STEPS = 10 };

// What a command works on until it is done: a text in tokens, which lie where it was typed, how often, and how far it is.
static struct {
    const uint8_t *tokens;
    uint32_t length;
    uint32_t left;
    uint32_t count;    // positions read, or tokens invented
    uint32_t position; // of those read, the next
    uint32_t layer;
    uint32_t head;
    float total;
} work;

static struct learner *const learner = &program.learner;

static bool has_model(void) {
    if (!program.has_model) {
        print_text("error: there is no model yet: make it fit with set, then train\n");
    }
    return program.has_model;
}

// The token of a character, or the vocabulary's size if the text has none.
static uint32_t token_of(uint32_t code_point) {
    const uint32_t characters = program.dataset.vocab_size - 1;
    for (uint32_t token = 0; token < characters; ++token) {
        if (program.dataset.characters[token] == code_point) {
            return token;
        }
    }
    return program.dataset.vocab_size;
}

// Turns text into tokens, in its own place: a character is at least as long. Prints why where it cannot.
static bool encode(char *text) {
    const char *at = text;
    uint8_t *tokens = (uint8_t *)text;
    work.length = 0;
    work.tokens = tokens;
    while (*at != '\0') {
        const uint32_t code_point = next_code_point(&at);
        const uint32_t token = token_of(code_point);
        if (token == program.dataset.vocab_size) {
            print_text("error: the model's alphabet has no '");
            print_character(code_point);
            print_text("'\n");
            return false;
        }
        tokens[work.length++] = (uint8_t)token;
    }
    return true;
}

// Cuts a number off the end of arguments, where there is one behind a text. Quotes keep it in the text.
static void take_number(char *arguments) {
    char *space = NULL;
    for (char *at = arguments; *at != '\0'; ++at) {
        space = *at == ' ' ? at : space;
    }
    if (space != NULL && parse_whole(space + 1, &work.left)) {
        *space = '\0';
    }
}

static char *without_quotes(char *text) {
    uint32_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    if (length < 2 || text[0] != '"' || text[length - 1] != '"') {
        return text;
    }
    text[length - 1] = '\0';
    return text + 1;
}

// The text and, unless `times` is 0, how often (`times` if it does not say) that arguments name. Prints why where they do not.
static bool take_text(char *arguments, uint32_t times) {
    work.left = times;
    if (!has_model()) {
        return false;
    }
    if (times > 0) {
        take_number(arguments);
    }
    return encode(without_quotes(arguments));
}

static bool is_given(void) {
    if (work.length == 0) {
        print_text("error: which text? help shows an example\n");
    }
    return work.length > 0;
}

static bool leaves_room(void) {
    const uint32_t most = learner->model.shape.block_size - 1;
    if (work.length > most) {
        print_text("error: the text is longer than block_size - 1 = ");
        print_unsigned(most, 1);
        print_text(" characters: nothing can follow\n");
    }
    return work.length <= most;
}

static void remark_on_length(void) {
    const uint32_t block_size = learner->model.shape.block_size;
    if (work.length + 1 > block_size) {
        print_text("# longer than block_size: the first ");
        print_unsigned(block_size, 1);
        print_text(" positions count\n");
    }
}

// A token as a column of three characters.
static void print_token(uint32_t token) {
    if (token == BOS(&learner->model.shape)) {
        print_text("end");
    } else {
        print_text("  ");
        print_character(program.dataset.characters[token]);
    }
}

static void print_bar(float share, uint32_t width) {
    const float columns = share * (float)width + 0.5f;
    print_text("  ");
    print_repeated('#', columns < (float)width ? (uint32_t)columns : width);
    print_text("\n");
}

enum command_state train(char *arguments) {
    uint32_t steps = MOST_STEPS;
    if (*arguments != '\0' && (!parse_whole(arguments, &steps) || steps == 0)) {
        print_text("error: train takes a number of steps, or nothing: to the end\n");
        return COMMAND_FAILED;
    }
    const bool is_offered = program.has_model && !program.is_outdated && learner->model.generates;
    if (!program.has_model || program.is_outdated || is_offered) {
        const struct plan_request request = program_request();
        if (!program_accepts(&request, is_offered ? "error: this model only generates; to train it " : "error: ")) {
            return COMMAND_FAILED;
        }
        if (is_offered) {
            run_begin_from_offered();
        } else {
            run_begin();
        }
    } else if (run_is_trained()) {
        print_text("error: training is at its end; for a new start set seed, steps or shape\n");
        return COMMAND_FAILED;
    }
    run_continue(steps);
    return COMMAND_GOES_ON;
}

enum command_state train_turn(void) {
    switch (run_turn()) {
    case RUN_GOES_ON:
        return COMMAND_GOES_ON;
    case RUN_PAUSES:
        run_report_pause();
        return COMMAND_DONE;
    case RUN_IS_OVER:
        return COMMAND_DONE;
    case RUN_DIVERGED:
        break;
    }
    program.has_model = false;
    print_text("error: ");
    print_text(run_divergence);
    print_text("\n");
    return COMMAND_FAILED;
}

enum command_state names(char *arguments) {
    work.length = 0;
    work.count = 0;
    work.left = settings.samples;
    if (!has_model()) {
        return COMMAND_FAILED;
    }
    if (*arguments != '\0' && !parse_whole(arguments, &work.left)) {
        print_text("error: names takes how many\n");
        return COMMAND_FAILED;
    }
    return COMMAND_GOES_ON;
}

enum command_state complete(char *arguments) {
    work.count = 0;
    const bool can = take_text(arguments, SOME_NAMES) && is_given() && leaves_room();
    return can ? COMMAND_GOES_ON : COMMAND_FAILED;
}

enum command_state names_turn(void) {
    uint8_t *tokens = learner->model.tokens;
    if (work.left == 0) {
        return COMMAND_DONE;
    }
    if (work.count < work.length) {
        tokens[work.count] = work.tokens[work.count];
    }
    if (learner_draw(learner, tokens, work.count, work.length, reciprocal32(settings.temperature), &program.aside)) {
        ++work.count;
        return COMMAND_GOES_ON;
    }
    print_document(tokens, work.count);
    work.count = 0;
    --work.left;
    return COMMAND_GOES_ON;
}

static void print_loss(const char *label) {
    const uint32_t count = learner_read(learner, work.tokens, work.length);
    float total = 0.0f;
    for (uint32_t t = 0; t < count; ++t) {
        total += learner_loss_at(learner, t);
    }
    print_text(label);
    print_fixed(divide32(total, (float)count), NUMBER_DECIMALS);
    print_text("\n");
}

enum command_state teach(char *arguments) {
    if (!remember_has_trainable() || !take_text(arguments, SOME_STEPS) || !is_given()) {
        return COMMAND_FAILED;
    }
    remark_on_length();
    print_loss("loss before: ");
    return COMMAND_GOES_ON;
}

enum command_state teach_turn(void) {
    if (work.left == 0) {
        print_loss("loss after:  ");
        return COMMAND_DONE;
    }
    --work.left;
    learner_teach(learner, work.tokens, work.length);
    return COMMAND_GOES_ON;
}

// Begins to read the text, position by position: a large model takes its time for each.
static enum command_state read_text(void) {
    work.count = learner_read(learner, work.tokens, work.length);
    work.position = 0;
    return COMMAND_GOES_ON;
}

enum command_state loss(char *arguments) {
    if (!take_text(arguments, 0) || !is_given()) {
        return COMMAND_FAILED;
    }
    remark_on_length();
    work.total = 0.0f;
    return read_text();
}

enum command_state loss_turn(void) {
    const float guessing = log32((float)learner->model.shape.vocab_size);
    const uint32_t t = work.position++;
    if (t == work.count) {
        print_text("mean ");
        print_fixed(divide32(work.total, (float)work.count), NUMBER_DECIMALS);
        print_text(" nats; pure guessing has ");
        print_fixed(guessing, NUMBER_DECIMALS);
        print_text("\n");
        return COMMAND_DONE;
    }
    learner_read_position(learner, t);
    const float surprise = learner_loss_at(learner, t);
    work.total += surprise;
    print_token(t < work.length ? work.tokens[t] : BOS(&learner->model.shape));
    print_text("  ");
    print_fixed(surprise, NUMBER_DECIMALS);
    print_bar(divide32(surprise, 2.0f * guessing), COLUMNS - 20);
    return COMMAND_GOES_ON;
}

// The likeliest token after `last`, in falling order of probability and, where that is equal, in that of the alphabet.
static uint32_t likeliest_after(const float *probabilities, uint32_t last) {
    const uint32_t vocab_size = learner->model.shape.vocab_size;
    uint32_t best = vocab_size;
    for (uint32_t token = 0; token < vocab_size; ++token) {
        const bool is_later =
            last == vocab_size || probabilities[token] < probabilities[last] ||
            (probabilities[token] <= probabilities[last] && token > last);
        if (is_later && (best == vocab_size || probabilities[token] > probabilities[best])) {
            best = token;
        }
    }
    return best;
}

enum command_state next(char *arguments) {
    return take_text(arguments, 0) && leaves_room() ? read_text() : COMMAND_FAILED;
}

enum command_state next_turn(void) {
    const uint32_t most = 12;
    learner_read_position(learner, work.position);
    if (work.position++ < work.length) {
        return COMMAND_GOES_ON;
    }
    const float *probabilities = learner_follows(learner, work.length);
    const uint32_t vocab_size = learner->model.shape.vocab_size;
    uint32_t token = vocab_size;
    for (uint32_t i = 0; i < most && i < vocab_size; ++i) {
        token = likeliest_after(probabilities, token);
        print_token(token);
        print_text("  ");
        print_fixed(probabilities[token], NUMBER_DECIMALS);
        print_bar(probabilities[token], COLUMNS - 20);
    }
    return COMMAND_DONE;
}

// A weight in tenths, rounded down; a point for none.
static void print_tenths(float weight) {
    const uint32_t tenths = weight < 1.0f ? (uint32_t)(weight * 10.0f) : 9;
    print_repeated(tenths == 0 ? '.' : (char)('0' + tenths), 1);
}

// A column of heads is as wide as the longest row, or its title.
static uint32_t head_columns(void) { return work.count + 2 > 9 ? work.count + 2 : 9; }

// The first head that has no room beside work.head.
static uint32_t heads_end(void) {
    uint32_t end = work.head;
    for (uint32_t width = 3 + head_columns(); end < learner->model.shape.n_head && (end == work.head || width <= COLUMNS);
         width += head_columns()) {
        ++end;
    }
    return end;
}

static void print_titles(uint32_t end) {
    print_text("layer ");
    print_unsigned(work.layer + 1, 1);
    print_text("\n   ");
    for (uint32_t h = work.head; h < end; ++h) {
        print_text("  head ");
        print_unsigned(h + 1, 1);
        print_repeated(' ', h + 1 < end ? head_columns() - (h + 1 < 10 ? 8 : 9) : 0);
    }
    print_text("\n");
}

// Where heads side by side look from one position.
static void print_row(uint32_t end) {
    const uint32_t t = work.position;
    if (t == 0) {
        print_text("  ^");
    } else {
        print_token(work.tokens[t - 1]);
    }
    for (uint32_t h = work.head; h < end; ++h) {
        const float *weights = learner_attention(learner, work.layer, h, t);
        print_text("  ");
        for (uint32_t u = 0; u <= t; ++u) {
            print_tenths(weights[u]);
        }
        print_repeated(' ', h + 1 < end ? head_columns() - 2 - (t + 1) : 0);
    }
    print_text("\n");
}

enum command_state attention(char *arguments) {
    if (!take_text(arguments, 0) || !is_given()) {
        return COMMAND_FAILED;
    }
    remark_on_length();
    print_text("a row looks back at the columns up to itself; ^ begins; 9: most of it, .: under a tenth\n");
    work.layer = 0;
    work.head = 0;
    return read_text();
}

enum command_state attention_turn(void) {
    const uint32_t end = heads_end();
    if (work.position == 0) {
        print_titles(end);
    }
    learner_read_position(learner, work.position);
    print_row(end);
    if (++work.position < work.count) {
        return COMMAND_GOES_ON;
    }
    work.position = 0;
    work.head = end < learner->model.shape.n_head ? end : 0;
    work.layer += work.head == 0;
    return work.layer < learner->model.shape.n_layer ? COMMAND_GOES_ON : COMMAND_DONE;
}
