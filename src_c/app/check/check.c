// SPDX-License-Identifier: MIT
// The command `check`: one line for each thing checked, here, on whatever the program runs on; a turn each.
#include "app/check/checks.h"
#include "app/command_list.h"
#include "app/program.h"
#include "text/print.h"

static struct {
    uint32_t next;
    uint32_t wrong;
    uint32_t skipped;
    uint32_t calls; // of check_barriers()
} state;

enum command_state check(char *arguments) {
    (void)arguments;
    state.next = 0;
    state.wrong = 0;
    state.skipped = 0;
    state.calls = 0;
    return COMMAND_GOES_ON;
}

static void report(const char *kind, enum verdict verdict) {
    static const char *const words[] = {
        [VERDICT_RIGHT] = "right: ",
        [VERDICT_WRONG] = "WRONG: ",
        [VERDICT_SKIPPED] = "skipped: ",
    };
    print_text(words[verdict]);
    print_text(kind);
    state.wrong += verdict == VERDICT_WRONG;
    state.skipped += verdict == VERDICT_SKIPPED;
}

static enum command_state conclude(void) {
    if (state.wrong > 0) {
        print_text("error: WRONG: ");
        print_unsigned(state.wrong, 1);
        print_text(" of ");
        print_unsigned(state.next, 1);
        print_text(" checks; what is computed here cannot be trusted\n");
        return COMMAND_FAILED;
    }
    print_unsigned(state.next - state.skipped, 1);
    print_text(" checks, all right");
    if (state.skipped > 0) {
        print_text("; ");
        print_unsigned(state.skipped, 1);
        print_text(" skipped: a smaller model leaves the memory they need");
    }
    print_text("\n");
    return COMMAND_DONE;
}

void check_help(const struct worker *worker) {
    struct team *team = worker->team;
    if (team->job == CHECK_KERNEL) {
        kernel_share(team->argument, worker);
    } else {
        barriers_share(team->argument, worker);
    }
}

// A million barriers, a turn for some of them. Returns whether all are through.
static bool barriers_turn(void) {
    const enum verdict verdict = check_barriers(state.calls);
    if (verdict == VERDICT_RIGHT && ++state.calls < BARRIER_CALLS) {
        return false;
    }
    report("a million barriers between the cores\n", verdict);
    return true;
}

enum command_state check_turn(void) {
    uint32_t item = state.next;
    const uint32_t teams = program.team.members > 1;
    if (item == 0) {
        report("random numbers\n", check_random());
    } else if ((item -= 1) < FUNCTIONS) {
        report("function ", check_function(item));
        print_text(function_name(item));
        print_text("\n");
    } else if ((item -= FUNCTIONS) < kernel_count()) {
        report("kernel ", check_kernel(item));
        print_text(kernel_name(item));
        print_text("\n");
    } else if ((item -= kernel_count()) < tensor_count()) {
        report("gradient of ", check_gradient(item));
        print_tensor_name(item);
        print_text("\n");
    } else if ((item -= tensor_count()) < program.banks.count) {
        report("memory bank ", check_memory(item));
        print_unsigned(item + 1, 1);
        print_text("\n");
    } else if ((item -= program.banks.count) < teams) {
        if (!barriers_turn()) {
            return COMMAND_GOES_ON;
        }
    } else {
        return conclude();
    }
    ++state.next;
    return COMMAND_GOES_ON;
}
