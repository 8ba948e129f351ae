// SPDX-License-Identifier: MIT
#include "app/remember.h"

#include <stdbool.h>
#include <stddef.h>

#include "app/command_list.h"
#include "app/program.h"
#include "app/refusal.h"
#include "app/run.h"
#include "app/settings.h"
#include "app/store.h"
#include "board/board.h"
#include "core/crc32.h"
#include "math/math32.h"
#include "text/print.h"

// What a sector of flash stands (Winbond W25Q32JV and others); each checkpoint erases those of one slot of two.
#define ERASES 100000u

static struct learner *const learner = &program.learner;

static const char passed_over[] = "# passed over: ";

static uint32_t built_for; // identity of the options that the image came with

// The options that decide which model is trained, and how.
static uint32_t identity_of_options(void) {
    uint32_t crc = crc32(&settings.n_embd, offsetof(struct settings, samples) - offsetof(struct settings, n_embd));
    crc = crc32_more(crc, &settings.learning_rate, sizeof(settings.learning_rate));
    crc = crc32_more(crc, &settings.seed_from_chip, sizeof(settings.seed_from_chip));
    return crc32_more(crc, settings.seed, (uint32_t)sizeof(settings.seed[0]) * settings.seed_words);
}

void remember_describe(struct checkpoint *checkpoint) {
    if (learner->model.generates) {
        checkpoint_describe(checkpoint, CHECKPOINT_WEIGHTS, learner, NULL, 0);
    } else {
        checkpoint_describe(checkpoint, CHECKPOINT_STATE, learner, settings.seed, settings.seed_words);
        run_remember(&checkpoint->header.run);
        checkpoint->header.run.options_crc32 = built_for;
    }
}

static enum store_error save_now(void) {
    struct checkpoint checkpoint;
    struct store_target target;
    const enum store_error error = store_prepare(&target, &checkpoint);
    if (error != STORE_OK) {
        return error;
    }
    remember_describe(&checkpoint);
    return store_write(&target, &checkpoint);
}

static void print_step(const char *label) {
    print_text(label);
    print_unsigned(learner->step, 1);
    print_text("\n");
}

void remember_after_step(void) {
    const bool is_kept = board_flash_bytes() > 0 || board_file_is_kept();
    const bool is_due = settings.save_every != 0 && learner->step % settings.save_every == 0;
    if (!is_kept || (!is_due && !run_is_trained())) {
        return;
    }
    const enum store_error error = save_now();
    if (error == STORE_OK) {
        print_step("# checkpoint: saved at step ");
        return;
    }
    print_text("# error: ");
    print_store_error(error);
    print_text("\n");
}

// Settings for the run that a checkpoint is of, less those of its shape.
static void adopt_settings(const struct checkpoint_header *header) {
    settings.steps = header->steps;
    settings.learning_rate = header->learning_rate;
    settings.samples = header->run.samples;
    settings.log_every = header->run.log_every;
    settings.temperature = header->run.temperature;
    settings.seed_from_chip = header->run.seed_from_chip;
    settings.seed_words = header->seed_words;
}

static void adopt_shape(const struct model_shape *shape) {
    settings.n_embd = shape->n_embd;
    settings.n_head = shape->n_head;
    settings.n_layer = shape->n_layer;
    settings.block_size = shape->block_size;
}

// Looks at what is in a place. *request: what it is to be placed for. *weights: where they lie, if it has them alone.
OWN_FRAME static enum checkpoint_error examine(enum store_place place, bool needs_same_options, struct plan_request *request,
                                               const float **weights) {
    struct checkpoint checkpoint;
    const struct checkpoint_header *header = &checkpoint.header;
    enum checkpoint_error error = store_open(place, &program.dataset, &checkpoint);
    if (error == CHECKPOINT_OK) {
        error = checkpoint_check_place(header, &program.dataset, settings.seed_room, request);
    }
    const bool has_state = header->contents == CHECKPOINT_STATE;
    if (error == CHECKPOINT_OTHER_ALPHABET && has_state) {
        return CHECKPOINT_OTHER_TEXT;
    }
    if (error == CHECKPOINT_OK && needs_same_options && has_state && header->run.options_crc32 != built_for) {
        return CHECKPOINT_OTHER_OPTIONS;
    }
    if (error == CHECKPOINT_OK) {
        *weights = has_state ? NULL : store_weights(place, &checkpoint);
    }
    return error;
}

// Fills a learner that is placed with the state that has been examined.
OWN_FRAME static bool take(enum store_place place) {
    struct checkpoint checkpoint;
    if (store_open(place, NULL, &checkpoint) != CHECKPOINT_OK) {
        return false;
    }
    adopt_settings(&checkpoint.header);
    checkpoint_aim(&checkpoint, learner, settings.seed);
    if (!store_take(place, &checkpoint) || !checkpoint_restore(&checkpoint.header, learner)) {
        return false;
    }
    run_resume(&checkpoint.header.run);
    return true;
}

// Goes on from the checkpoint in a place, or prints why not, behind `label`. Until it is known to be whole and to fit nothing is
// lost; should it not read so again, then there is no model any more.
static bool go_on(enum store_place place, bool needs_same_options, const char *label) {
    struct plan_request request = program_request();
    const float *weights;
    enum checkpoint_error error = examine(place, needs_same_options, &request, &weights);
    if (error == CHECKPOINT_OK && plan_missing(&request, &program.banks) > 0) {
        error = CHECKPOINT_TOO_LARGE;
    }
    if (error == CHECKPOINT_OK) {
        adopt_shape(&request.shape);
        program.request = request;
        program.has_model = false;
        if (weights != NULL) {
            run_offer(weights);
            return true;
        }
        learner_place(learner, &request, &program.banks, &program.dataset, &program.team);
        if (request.generates == 0 && take(place)) {
            return true;
        }
        error = CHECKPOINT_DAMAGED;
    }
    print_text(label);
    print_checkpoint_error(error, &request, &program.banks);
    print_text("\n");
    return false;
}

OWN_FRAME static enum checkpoint_error open_whole(enum store_place place, uint32_t *sequence) {
    struct checkpoint checkpoint;
    const enum checkpoint_error error = store_open(place, NULL, &checkpoint);
    *sequence = checkpoint.header.sequence;
    return error;
}

// Whether there is a whole checkpoint in flash. Says of one that is not.
static bool is_whole(enum store_place place, uint32_t *sequence) {
    const enum checkpoint_error error = open_whole(place, sequence);
    if (error != CHECKPOINT_OK && error != CHECKPOINT_MISSING) {
        print_text(passed_over);
        print_checkpoint_error(error, NULL, NULL);
        print_text("\n");
    }
    return error == CHECKPOINT_OK;
}

OWN_FRAME static enum store_place newest_slot(uint32_t *age) {
    struct checkpoint checkpoint;
    return store_newest(&checkpoint, age);
}

// Where the newest checkpoint in flash is. What push has put behind the text has a sequence number above the age of those before.
static enum store_place newest_in_flash(void) {
    uint32_t age;
    uint32_t sequence;
    const enum store_place slot = newest_slot(&age);
    return is_whole(BEHIND_TEXT, &sequence) && sequence > age ? BEHIND_TEXT : slot;
}

enum remembered remember_start(void) {
    uint32_t sequence;
    built_for = identity_of_options();
    if (board_file_is_given()) {
        return go_on(GIVEN_FILE, false, "# error: ") ? REMEMBERED : REMEMBERED_WRONG;
    }
    if (board_is_chip() && board_flash_bytes() == 0) {
        print_text("# no checkpoints are kept: the flash chip is smaller than flash_size= of this firmware\n");
    }
    if (settings.start == START_FRESH || store_room() == 0) {
        return REMEMBERED_NOTHING;
    }
    const enum store_place newest = newest_in_flash();
    if (newest == BEHIND_TEXT && go_on(newest, true, passed_over)) {
        return REMEMBERED;
    }
    const enum store_place first = newest == SLOT_1 ? SLOT_1 : SLOT_0;
    const enum store_place second = first == SLOT_0 ? SLOT_1 : SLOT_0;
    const bool is_first = is_whole(first, &sequence);
    const bool is_second = is_whole(second, &sequence);
    const bool found = (is_first && go_on(first, true, passed_over)) || (is_second && go_on(second, true, passed_over));
    return found ? REMEMBERED : REMEMBERED_NOTHING;
}

static enum command_state failed(enum store_error error) {
    print_text("error: ");
    print_store_error(error);
    print_text("\n");
    return COMMAND_FAILED;
}

bool remember_has_trainable(void) {
    if (!program.has_model) {
        print_text("error: there is no model yet: make it fit with set, then train\n");
    } else if (learner->model.generates) {
        print_text("error: this model only generates; train begins from its weights, if memory has room\n");
    }
    return program.has_model && !learner->model.generates;
}

enum command_state save(char *arguments) {
    (void)arguments;
    if (!remember_has_trainable()) {
        return COMMAND_FAILED;
    }
    const enum store_error error = save_now();
    if (error != STORE_OK) {
        return failed(error);
    }
    print_step("# checkpoint: saved at step ");
    return COMMAND_DONE;
}

enum command_state load(char *arguments) {
    (void)arguments;
    const enum store_place place = store_room() > 0 ? newest_in_flash() : GIVEN_FILE;
    return go_on(place == NOWHERE ? SLOT_0 : place, false, "error: ") ? COMMAND_DONE : COMMAND_FAILED;
}

enum command_state forget(char *arguments) {
    (void)arguments;
    struct checkpoint scratch;
    const enum store_error error = store_forget(&scratch);
    for (enum store_place slot = SLOT_0; slot <= SLOT_1 && learner->model.generates; ++slot) {
        if (learner->parameters.values == store_weights(slot, &scratch)) {
            program.has_model = false; // its weights are gone
        }
    }
    return error == STORE_OK ? COMMAND_DONE : failed(error);
}

void remember_print_wear(void) {
    const float milliseconds = run_step_milliseconds();
    if (store_room() == 0 || settings.save_every == 0 || !(milliseconds > 0.0f)) {
        return;
    }
    const float ms_per_year = 3.15576e10f;
    const float steps = (float)settings.save_every * (2.0f * ERASES);
    print_text("flash: with a checkpoint every ");
    print_unsigned(settings.save_every, 1);
    print_text(" steps it stands training without a pause for ");
    print_short(divide32(steps, ms_per_year) * milliseconds);
    print_text(" years\n");
}
