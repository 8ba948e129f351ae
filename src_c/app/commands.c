// SPDX-License-Identifier: MIT
#include "app/commands.h"

#include <stdbool.h>
#include <stddef.h>

#include "app/command_list.h"
#include "app/parse.h"
#include "app/run.h"
#include "text/print.h"

static enum command_state help(char *arguments);

static const struct command {
    const char *name;
    const char *arguments;
    const char *help;
    const char *example;
    enum command_state (*begin)(char *arguments);
    enum command_state (*turn)(void); // NULL: done in one
} commands[] = {
    {"help", "[COMMAND]", "what can be asked", "help teach", help, NULL},
    {"info", "", "chip, model, memory, text, step", "info", info, NULL},
    {"set", "[NAME=VALUE ...]", "show or change settings; all of them or none", "set n_embd=24 n_layer=2", set, NULL},
    {"train", "[N]", "begin or go on: N steps, or to the end", "train 500", train, train_turn},
    {"names", "[N]", "invent N; the run's own samples stay as they are", "names 5", names, names_turn},
    {"complete", "TEXT [N]", "invent N that begin with TEXT", "complete mar 3", complete, names_turn},
    {"temperature", "[T]", "of what is invented; low is cautious", "temperature 0.8", temperature, NULL},
    {"teach", "TEXT [N]", "N training steps on TEXT, loss before and after", "teach \"zoe\" 10", teach, teach_turn},
    {"loss", "TEXT", "surprise at each character, in nats", "loss emma", loss, loss_turn},
    {"next", "[TEXT]", "what may follow, with probabilities", "next em", next, next_turn},
    {"attention", "TEXT", "where each head looks, in tenths", "attention emma", attention, attention_turn},
    {"check", "", "is this silicon right? kernels, gradients, memory", "check", check, check_turn},
    {"save", "", "keep all that training needs to go on", "save", save, NULL},
    {"load", "", "go on from what was kept last", "load", load, NULL},
    {"forget", "", "erase what was kept", "forget", forget, NULL},
    {"reset", "", "start again as at power-on", "reset", reset, NULL},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command *going_on;

static const struct command *find(const char *name) {
    for (uint32_t i = 0; i < COMMANDS; ++i) {
        if (same_text(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

static uint32_t length_of(const char *text) {
    uint32_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    return length;
}

static enum command_state unknown(const char *name) {
    print_text("error: no command is called ");
    print_text(name);
    print_text("; help lists them\n");
    return COMMAND_FAILED;
}

static enum command_state help(char *arguments) {
    const struct command *only = *arguments != '\0' ? find(arguments) : NULL;
    if (*arguments != '\0' && only == NULL) {
        return unknown(arguments);
    }
    for (uint32_t i = 0; i < COMMANDS; ++i) {
        const struct command *command = &commands[i];
        if (only == NULL || only == command) {
            print_text(command->name);
            print_repeated(' ', 12 - length_of(command->name));
            print_text(command->arguments);
            print_repeated(' ', 18 - length_of(command->arguments));
            print_text(command->help);
            print_text("\n");
        }
    }
    if (only != NULL) {
        print_text("for example: ");
        print_text(only->example);
    } else {
        print_text("Ctrl-C stops what runs; arrow keys bring back lines");
    }
    print_text("\n");
    return COMMAND_DONE;
}

enum command_state command_run(char *line) {
    while (*line == ' ') {
        ++line;
    }
    char *arguments = line;
    const char *name = next_word(&arguments);
    if (*name == '\0') {
        return COMMAND_NONE;
    }
    const struct command *command = find(name);
    if (command == NULL) {
        return unknown(name);
    }
    if (*command->arguments == '\0' && *arguments != '\0') {
        print_text("error: ");
        print_text(name);
        print_text(" takes no arguments\n");
        return COMMAND_FAILED;
    }
    going_on = command;
    return command->begin(arguments);
}

enum command_state command_turn(void) { return going_on->turn(); }

enum command_state command_stop(void) {
    if (going_on->begin == train && !run_is_trained()) {
        run_report_pause();
    } else {
        print_text("# stopped\n");
    }
    return COMMAND_DONE;
}
