// SPDX-License-Identifier: MIT
#include "app/run.h"

#include <stddef.h>

#include "app/program.h"
#include "app/remember.h"
#include "app/settings.h"
#include "board/board.h"
#include "math/math32.h"
#include "text/print.h"

static struct {
    uint32_t pause_at;    // step after which training stops
    uint32_t first_step;  // taken before its cycles were counted
    uint64_t cycles;      // of training, then of generation
    float first_loss;
    float last_losses;
    uint32_t samples; // drawn
    uint32_t tokens_drawn;
    uint32_t length; // of the document that is being drawn
} run;

static struct learner *const learner = &program.learner;

static void print_line(const char *label, uint32_t value) {
    print_text(label);
    print_unsigned(value, 1);
    print_text("\n");
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

bool run_is_trained(void) { return learner->step == learner->steps; }

// Milliseconds that went by while the processor counted so many cycles.
static float milliseconds(uint64_t cycles) {
    const float counted = (float)(uint32_t)(cycles >> 32) * 0x1p32f + (float)(uint32_t)cycles;
    return divide32(counted, (float)board_cycles_per_millisecond());
}

static void print_sizes(void) {
    print_line("num docs: ", program.dataset.documents);
    print_line("vocab size: ", program.dataset.vocab_size);
    print_line("num params: ", shape_parameters(&program.request.shape));
}

static void begin_timing(void) {
    run.cycles = 0;
    run.first_step = learner->step;
    run.tokens_drawn = 0;
    run.length = 0;
    run.pause_at = learner->steps;
}

static void take_seed(void) {
    if (settings.seed_from_chip) {
        settings.seed[0] = board_random();
        settings.seed_words = 1;
    }
    if (board_is_interactive()) {
        announce_seed();
    }
    xoshiro_seed(&program.aside, settings.seed[0]);
}

void run_begin(void) {
    take_seed();
    program.request = program_request();
    const struct recipe recipe = {settings.seed, settings.seed_words, settings.steps, settings.learning_rate};
    print_sizes();
    learner_begin(learner, &program.request, &program.banks, &program.dataset, &recipe, &program.team);
    program.has_model = true;
    program.is_outdated = false;
    run.last_losses = 0.0f;
    run.samples = 0;
    begin_timing();
}

static void print_inference(void) { print_text("\n--- inference (new, hallucinated names) ---\n"); }

void run_offer(const float *weights) {
    take_seed();
    learner_generate(learner, &program.request, &program.banks, &program.dataset, weights, &program.team);
    learner->learning_rate = settings.learning_rate;
    random_seed(&learner->random, settings.seed, settings.seed_words);
    program.has_model = true;
    program.is_outdated = false;
    run.samples = 0;
    begin_timing();
    print_sizes();
    print_text("# weights alone, read where they lie; train begins with them, if memory has room for it\n");
    print_inference();
}

void run_begin_from_offered(void) {
    const float *weights = learner->parameters.values; // not in the memory that is given anew
    run_begin();
    for (uint32_t i = 0; i < learner->model.parameters; ++i) {
        learner->parameters.values[i] = weights[i];
    }
}

void run_remember(struct checkpoint_run *kept) {
    *kept = (struct checkpoint_run){
        .seed_from_chip = settings.seed_from_chip,
        .samples = settings.samples,
        .log_every = settings.log_every,
        .temperature = settings.temperature,
        .samples_drawn = run.samples,
        .first_loss = run.first_loss,
        .last_losses = run.last_losses,
        .aside = program.aside,
    };
}

void run_resume(const struct checkpoint_run *kept) {
    program.aside = kept->aside;
    program.has_model = true;
    program.is_outdated = false;
    run.samples = kept->samples_drawn;
    run.first_loss = kept->first_loss;
    run.last_losses = kept->last_losses;
    begin_timing();
    if (board_is_interactive()) {
        announce_seed();
    }
    print_sizes();
    print_text("# checkpoint: step ");
    print_unsigned(learner->step, 1);
    print_text(" of ");
    print_unsigned(learner->steps, 1);
    print_text("\n");
    if (run_is_trained()) {
        print_inference();
    }
}

float run_step_milliseconds(void) {
    const uint32_t taken = learner->step - run.first_step;
    const bool is_known = taken > 0 && !run_is_trained() && board_cycles_per_millisecond() != 0;
    return is_known ? divide32(milliseconds(run.cycles), (float)taken) : 0.0f;
}

void run_continue(uint32_t steps) {
    const uint32_t left = learner->steps - learner->step;
    run.pause_at = learner->step + (steps < left ? steps : left);
}

#define MAY_BE_TOO_LARGE "; lr= may be too large" // one string for both: the linker shares what they end with

// How many steps at the end tell whether training went anywhere.
static uint32_t last_steps(void) { return learner->steps < 100 ? learner->steps : 100; }

// Says so when the last steps' mean loss is more than half a nat above that of the first step and of guessing.
static void report_divergence(void) {
    const float guessing = log32((float)learner->model.shape.vocab_size);
    const float mean = divide32(run.last_losses, (float)last_steps());
    if (mean > (run.first_loss > guessing ? run.first_loss : guessing) + 0.5f) {
        print_text("# training diverged to a mean loss of ");
        print_fixed(mean, 4);
        print_text(MAY_BE_TOO_LARGE);
        print_text("\n");
    }
}

static bool is_finite(float x) { return (float_bits(x) & 0x7f800000u) != 0x7f800000u; }

static void print_step(uint32_t number, float loss) {
    print_text("step ");
    print_unsigned(number, 4);
    print_text(" / ");
    print_unsigned(learner->steps, 4);
    print_text(" | loss ");
    print_fixed(loss, 4);
    print_text("\n");
}

const char run_divergence[] = "the loss is not finite" MAY_BE_TOO_LARGE;

// Returns whether the loss is finite.
static bool train(void) {
    const uint32_t steps = learner->steps;
    const uint32_t begin = board_cycles();
    const float loss = learner_step(learner);
    const uint32_t number = learner->step;
    run.cycles += board_cycles() - begin;
    if (number == 1 || number % settings.log_every == 0 || number == steps || !is_finite(loss)) {
        print_step(number, loss);
    }
    run.first_loss = number == 1 ? loss : run.first_loss;
    run.last_losses += number > steps - last_steps() ? loss : 0.0f;
    if (!is_finite(loss)) {
        return false;
    }
    if (number < steps) {
        remember_after_step();
        return true;
    }
    report_divergence();
    if (board_cycles_per_millisecond() != 0) {
        print_text("# time per step: ");
        print_fixed(divide32(milliseconds(run.cycles), (float)(steps - run.first_step)), 4);
        print_text(" ms\n");
    }
    run.cycles = 0;
    remember_after_step();
    print_inference();
    return true;
}

// Draws a document, or a token of it if the model is large, into the learner's own tokens, which are free between steps. Returns
// whether it is whole.
static bool draw(void) {
    const uint32_t block_size = learner->model.shape.block_size;
    bool goes_on;
    do {
        const uint32_t begin = board_cycles();
        goes_on = learner_draw(learner, learner->model.tokens, run.length, 0, reciprocal32(settings.temperature), NULL);
        run.cycles += board_cycles() - begin;
        run.tokens_drawn += run.length < block_size;
        run.length += goes_on;
    } while (goes_on && !learner->model.generates);
    return !goes_on;
}

static void print_drawn(void) {
    print_document(learner->model.tokens, run.length);
    run.length = 0;
}

void run_stream(void) {
    if (draw()) {
        print_drawn();
    }
}

static void sample(void) {
    if (draw()) {
        print_text("sample ");
        print_unsigned(++run.samples, 2);
        print_text(": ");
        print_drawn();
    }
}

static void conclude(void) {
    if (board_cycles_per_millisecond() != 0) {
        print_line("# tokens per second: ",
                   (uint32_t)divide32((float)run.tokens_drawn * 1000.0f, milliseconds(run.cycles)));
    }
    print_text("weights crc32: ");
    print_hex(learner_checksum(learner));
    print_text("\n");
}

enum run_state run_turn(void) {
    if (!run_is_trained()) {
        if (learner->step == run.pause_at) {
            return RUN_PAUSES;
        }
        return train() ? RUN_GOES_ON : RUN_DIVERGED;
    }
    if (run.samples < settings.samples) {
        sample();
        return RUN_GOES_ON;
    }
    conclude();
    return RUN_IS_OVER;
}

void run_report_pause(void) {
    print_text("# stopped at step ");
    print_unsigned(learner->step, 1);
    print_text(" of ");
    print_unsigned(learner->steps, 1);
    print_text("; train goes on\n");
}
