// SPDX-License-Identifier: MIT
// The program: trains from scratch, then invents names, as microgpt.py does; then, or when a key is pressed, takes commands.
#include "app/check/checks.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/program.h"
#include "app/refusal.h"
#include "app/remember.h"
#include "app/run.h"
#include "app/settings.h"
#include "app/transfer.h"
#include "board/board.h"
#include "text/print.h"

struct program program;

// What takes the turns.
static enum {
    THE_RUN,    // from the start, unasked
    THE_NAMES,  // of a checkpoint, instead of it
    MORE_NAMES, // after it, where somebody watches
    THE_PROMPT,
    A_COMMAND, // that takes more than one turn
    THE_END,
} doing;

static int status;

int app_status(void) { return status; }

void print_document(const uint8_t *tokens, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        print_character(program.dataset.characters[tokens[i]]);
    }
    print_text("\n");
}

// Decimal where one word holds it, else hexadecimal; build and console take both.
void print_seed(void) {
    if (settings.seed_words == 1) {
        print_unsigned(settings.seed[0], 1);
        return;
    }
    print_text("0x");
    for (uint32_t i = settings.seed_words; i-- > 0;) {
        print_hex(settings.seed[i]);
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

struct plan_request program_request(void) {
    return (struct plan_request){
        .shape = {settings.n_embd, settings.n_head, settings.n_layer, settings.block_size, program.dataset.vocab_size},
        .documents = program.dataset.documents,
        .steps = settings.steps,
    };
}

bool program_accepts(const struct plan_request *request, const char *label) {
    const bool is_shape = shape_check(&request->shape) == SHAPE_OK;
    if (is_shape && plan_missing(request, &program.banks) == 0) {
        return true;
    }
    print_text(label);
    if (is_shape) {
        print_missing_memory(request, &program.banks);
    } else {
        print_shape_error(&request->shape);
    }
    print_text("\n");
    return false;
}

static bool takes_commands(void) { return board_is_interactive() || settings.console != 0; }

static void give_prompt(void) {
    console_prompt();
    doing = THE_PROMPT;
}

static void end(int with_status) {
    status = with_status;
    doing = THE_END;
}

// Before a model is placed in memory: see board_start_second_core().
static void start_second_core(void) {
    program.team.members = 1;
    if (settings.cores < 2 || !board_has_second_core()) {
        return;
    }
    if (board_start_second_core()) {
        program.team.members = 2;
    } else {
        print_text("# the second core did not answer; going on with one\n");
    }
}

void app_second_core(void) {
    const struct worker worker = {&program.team, 1};
    for (uint32_t jobs = 0;; ++jobs) {
        team_await(&program.team, jobs);
        if (program.team.job < LEARNER_JOBS) {
            learner_help(&program.learner, &worker);
        } else {
            check_help(&worker);
        }
    }
}

static void end_of_run(void) {
    if (board_is_interactive()) {
        print_text("# more names; a key stops them and gives a prompt\n");
        doing = MORE_NAMES;
    } else if (takes_commands()) {
        give_prompt();
    } else {
        end(0);
    }
}

static void run_here(void) {
    switch (run_turn()) {
    case RUN_GOES_ON:
    case RUN_PAUSES:
        break;
    case RUN_IS_OVER:
        end_of_run();
        break;
    case RUN_DIVERGED:
        board_abort(run_divergence);
    }
}

// A key stops what runs unasked; it is then the first of a line.
static bool is_asked_to_stop(void) {
    const bool interrupted = console_interrupted();
    return interrupted || (console_is_waiting() && board_is_interactive());
}

static void after_command(enum command_state state) {
    if (state == COMMAND_GOES_ON) {
        doing = A_COMMAND;
        return;
    }
    if (state == COMMAND_DONE) {
        print_text("ok\n");
    } else if (state == COMMAND_FAILED) {
        status = 1;
    }
    if (takes_commands()) {
        give_prompt();
    } else {
        end(status);
    }
}

void app_begin(void) {
    uint32_t capacity;
    const void *image = board_dataset(&capacity);
    const enum dataset_error error = dataset_open(image, capacity, &program.dataset);
    if (error != DATASET_OK) {
        print_text("# error: ");
        print_dataset_error(error);
        print_text("; build and flash both: scons flash\n");
        end(1);
        return;
    }
    program.banks = memory();
    start_second_core();
    switch (remember_start()) {
    case REMEMBERED:
        doing = settings.start == START_NAMES ? THE_NAMES : THE_RUN;
        return;
    case REMEMBERED_WRONG:
        end(1);
        return;
    case REMEMBERED_NOTHING:
        break;
    }
    const struct plan_request request = program_request();
    if (program_accepts(&request, "# error: ")) {
        run_begin();
        doing = THE_RUN;
    } else if (takes_commands()) {
        give_prompt();
    } else {
        end(1);
    }
}

static void take_command(void) {
    char *line;
    if (console_interrupted()) {
        print_text("^C\n");
        console_prompt();
    }
    switch (console_line(&line)) {
    case CONSOLE_NOTHING:
        break;
    case CONSOLE_REFUSED:
        status = 1;
        console_prompt();
        break;
    case CONSOLE_END:
        end(status);
        break;
    case CONSOLE_LINE:
        after_command(command_run(line));
        break;
    }
}

static void go_on_with_command(void) {
    after_command(console_interrupted() ? command_stop() : command_turn());
}

enum app_state app_turn(void) {
    if (takes_commands() && doing != THE_END) {
        console_listen(doing != THE_PROMPT);
        if (console_asks_for_state()) {
            transfer_begin();
        }
        if (transfer_turn()) {
            return APP_GOES_ON;
        }
    }
    switch (doing) {
    case THE_RUN:
        if (takes_commands() && is_asked_to_stop()) {
            run_report_pause();
            give_prompt();
        } else {
            run_here();
        }
        break;
    case THE_NAMES: {
        char line[] = "names"; // not from the run's generator: train goes on with the bits that it would have had
        after_command(command_run(line));
        break;
    }
    case MORE_NAMES:
        if (is_asked_to_stop()) {
            give_prompt();
        } else {
            run_stream();
        }
        break;
    case THE_PROMPT:
        take_command();
        break;
    case A_COMMAND:
        go_on_with_command();
        break;
    case THE_END:
        break;
    }
    if (doing == THE_END) {
        return APP_ENDED;
    }
    return doing == THE_PROMPT && !console_is_waiting() ? APP_WAITS : APP_GOES_ON;
}
