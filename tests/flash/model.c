// SPDX-License-Identifier: MIT
// NOR flash whose power may fail: src_c/board/storage.h for app/store.c, built for this machine. Cells are erased to ones by the
// sector and programmed to zeros within a page. What was being changed when power failed is left half done, and some of its
// bits weak: they read differently at different times until they are erased or programmed again.
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "app/store.h"
#include "board/console.h"
#include "board/storage.h"

enum { MOST_BYTES = 12 * FLASH_SECTOR_BYTES, GUARD = FLASH_SECTOR_BYTES, ALL = MOST_BYTES + 2 * GUARD };

// How an operation is cut short. What it would have changed is: not changed, changed up to half of it, changed here and there,
// changed but for a few weak bits, weak all of it, or changed, and power fails with nothing left to do.
enum how { NOTHING, HALF, SCATTERED, FEW_WEAK, ALL_WEAK, DONE };

// What a weak bit reads as: anything each time; or, all of them, as if the operation had left nothing wrong (a page programmed, a
// sector not yet touched) or as the opposite, in turn from boot to boot.
enum reading { ANYTHING, RIGHT_THEN_WRONG, WRONG_THEN_RIGHT };

static struct {
    uint8_t cells[ALL];
    uint8_t weak[ALL];
    uint8_t right[ALL]; // of weak bits
    uint32_t bytes;
    uint32_t operations; // since power is on
    uint32_t cut_at;
    enum how how;
    enum reading reading;
    uint32_t boots;
    uint32_t random;
    uint32_t bad_sector; // does not erase
    bool is_protected;
    jmp_buf off;
} flash;

void board_console_write(const char *text, uint32_t length) { (void)text, (void)length; }

static uint32_t draw(void) {
    flash.random ^= flash.random << 13;
    flash.random ^= flash.random >> 17;
    flash.random ^= flash.random << 5;
    return flash.random;
}

void flash_new(uint32_t bytes, enum reading reading, uint32_t seed) {
    memset(&flash, 0, sizeof(flash));
    memset(flash.cells, 0xFF, sizeof(flash.cells));
    flash.bytes = bytes;
    flash.reading = reading;
    flash.random = seed | 1;
    flash.cut_at = UINT32_MAX;
    flash.bad_sector = UINT32_MAX;
}

void flash_power_on(uint32_t cut_at, enum how how) {
    flash.operations = 0;
    flash.cut_at = cut_at;
    flash.how = how;
    ++flash.boots;
}

uint32_t flash_operations(void) { return flash.operations; }

void flash_break(uint32_t bad_sector, int is_protected) {
    flash.bad_sector = bad_sector;
    flash.is_protected = is_protected != 0;
}

uint8_t *flash_cells(void) { return flash.cells + GUARD; }

// Whether nothing outside of the flash was touched.
int flash_is_alone(void) {
    for (uint32_t i = 0; i < ALL; ++i) {
        if ((i < GUARD || i >= GUARD + flash.bytes) && flash.cells[i] != 0xFF) {
            return 0;
        }
    }
    return 1;
}

// Brings a cell's bits from what they are to `to`, as the operation that is cut short does at byte `at` of `bytes`.
static void change(uint32_t cell, uint8_t to, uint32_t at, uint32_t bytes, enum how how, bool erases) {
    const uint8_t from = flash.cells[cell];
    // An erase works on all of a sector's cells, whatever they hold. A program adds charge where there is to be a zero, which makes
    // no firm zero worse.
    const uint8_t touched = erases ? 0xFF : (uint8_t)(~to & (from | flash.weak[cell]));
    uint8_t changed = 0;
    uint8_t weak = 0;
    switch (how) {
    case NOTHING:
        return;
    case HALF:
        changed = at < bytes / 2 ? 0xFF : 0;
        break;
    case SCATTERED:
        changed = (uint8_t)draw();
        break;
    case FEW_WEAK:
        changed = 0xFF;
        weak = draw() % (bytes / 2) == 0 ? (uint8_t)(1u << draw() % 8) : 0;
        break;
    case ALL_WEAK:
        weak = 0xFF;
        break;
    case DONE:
        changed = 0xFF;
        break;
    }
    weak &= touched;
    changed &= touched;
    flash.cells[cell] = (uint8_t)((from & ~changed) | (to & changed));
    flash.weak[cell] = (uint8_t)((flash.weak[cell] & ~changed) | weak);
    const uint8_t right = erases ? from : to;
    flash.right[cell] = (uint8_t)((flash.right[cell] & ~weak) | (right & weak));
}

static void operate(uint32_t offset, const uint8_t *to, uint32_t bytes, bool erases) {
    const bool is_cut = flash.operations++ == flash.cut_at;
    for (uint32_t i = 0; i < bytes; ++i) {
        const uint32_t cell = GUARD + offset + i;
        // A bit that is programmed again becomes firm, one that is not to be stays as it is.
        change(cell, erases ? 0xFF : (uint8_t)(flash.cells[cell] & to[i]), i, bytes, is_cut ? flash.how : DONE, erases);
    }
    if (is_cut) {
        longjmp(flash.off, 1);
    }
}

uint32_t board_flash_bytes(void) { return flash.bytes; }

bool board_flash_is_protected(void) { return flash.is_protected; }

bool board_flash_read(uint32_t offset, void *to, uint32_t bytes) {
    if (offset > flash.bytes || bytes > flash.bytes - offset) {
        return false;
    }
    for (uint32_t i = 0; i < bytes; ++i) {
        const uint32_t cell = GUARD + offset + i;
        uint8_t shown = flash.right[cell];
        if (flash.weak[cell] != 0 && flash.reading == ANYTHING) {
            shown = (uint8_t)draw();
        } else if (flash.boots % 2 == (flash.reading == RIGHT_THEN_WRONG ? 1 : 0)) {
            shown = (uint8_t)~shown;
        }
        ((uint8_t *)to)[i] = (uint8_t)((flash.cells[cell] & ~flash.weak[cell]) | (shown & flash.weak[cell]));
    }
    return true;
}

bool board_flash_erase(uint32_t offset) {
    if (offset % FLASH_SECTOR_BYTES != 0 || offset >= flash.bytes || flash.is_protected) {
        return false;
    }
    if (offset / FLASH_SECTOR_BYTES != flash.bad_sector) {
        operate(offset, NULL, FLASH_SECTOR_BYTES, true);
    }
    return true;
}

bool board_flash_program(uint32_t offset, const void *from, uint32_t bytes) {
    if (offset >= flash.bytes || offset % FLASH_SECTOR_BYTES + bytes > FLASH_SECTOR_BYTES || bytes % 4 != 0 ||
        (uintptr_t)from % 4 != 0 || flash.is_protected) {
        return false;
    }
    for (uint32_t done = 0; done < bytes;) { // page by page, as chips do it
        const uint32_t in_page = FLASH_PAGE_BYTES - (offset + done) % FLASH_PAGE_BYTES;
        const uint32_t taken = bytes - done < in_page ? bytes - done : in_page;
        operate(offset + done, (const uint8_t *)from + done, taken, false);
        done += taken;
    }
    return true;
}

bool board_file_is_given(void) { return false; }
bool board_file_is_kept(void) { return false; }
bool board_file_read(uint32_t offset, void *to, uint32_t bytes) { return (void)offset, (void)to, (void)bytes, false; }
bool board_file_write(uint32_t offset, const void *from, uint32_t bytes) {
    return (void)offset, (void)from, (void)bytes, false;
}
bool board_file_keep(void) { return false; }
const void *board_file_in_place(uint32_t bytes) { return (void)bytes, NULL; }
const void *board_flash_in_place(uint32_t offset) { return (void)offset, NULL; }
const void *board_dataset(uint32_t *capacity) {
    static const struct dataset_header none;
    *capacity = 0;
    return &none;
}

// ---- A learner, whose every number follows from the step that it is said to have taken.

static struct {
    struct dataset dataset;
    struct plan_request request;
    struct learner learner;
    uint32_t seed[2];
} run;

int run_new(const void *image, uint32_t image_bytes, const struct model_shape *shape, uint32_t steps) {
    static void *memory;
    if (dataset_open(image, image_bytes, &run.dataset) != DATASET_OK) {
        return 0;
    }
    run.request = (struct plan_request){.shape = *shape, .documents = run.dataset.documents, .steps = steps};
    run.request.shape.vocab_size = run.dataset.vocab_size;
    struct banks banks = {.count = 1, .bank = {{NULL, UINT32_MAX}}};
    struct plan plan;
    plan_make(&plan, &run.request, &banks);
    banks.bank[0].bytes = plan_extent(&plan, 0);
    free(memory);
    memory = calloc(1, banks.bank[0].bytes);
    banks.bank[0].start = memory;
    static struct team team = {.members = 1};
    learner_place(&run.learner, &run.request, &banks, &run.dataset, &team);
    return 1;
}

static void fill(uint32_t *words, uint32_t count, uint32_t *state) {
    for (uint32_t i = 0; i < count; ++i) {
        *state = *state * 1664525u + 1013904223u;
        words[i] = *state;
    }
}

static void be_at(uint32_t step) {
    struct learner *learner = &run.learner;
    uint32_t state = step;
    learner->step = step;
    learner->document = step % learner->order_length;
    learner->learning_rate = 0.01f;
    learner->schedule = (struct adam_schedule){.gradient_scale = (float)step};
    learner->random.next = step % RANDOM_STATE_WORDS;
    learner->random.has_gauss = step % 2 == 1;
    learner->random.gauss = (float)(step % 2);
    fill((uint32_t *)learner->parameters.values, learner->model.parameters, &state);
    fill((uint32_t *)learner->parameters.first_moments, learner->model.parameters, &state);
    fill((uint32_t *)learner->parameters.second_moments, learner->model.parameters, &state);
    fill(learner->random.state, RANDOM_STATE_WORDS, &state);
    fill(run.seed, 2, &state);
    for (uint32_t i = 0; i < learner->order_length; ++i) {
        learner->order[i] = (uint16_t)((step + i) % run.dataset.documents);
    }
}

static void describe(struct checkpoint *checkpoint) {
    checkpoint_describe(checkpoint, CHECKPOINT_STATE, &run.learner, run.seed, 2);
    checkpoint->header.run = (struct checkpoint_run){.samples = 1, .log_every = 1, .temperature = 1.0f};
    checkpoint_number(checkpoint, 0);
}

// Saves at a step: enum store_error, or -1 when power fails meanwhile.
int run_save(uint32_t step) {
    struct checkpoint checkpoint;
    struct store_target target;
    if (setjmp(flash.off) != 0) {
        return -1;
    }
    be_at(step);
    const enum store_error error = store_prepare(&target, &checkpoint);
    if (error != STORE_OK) {
        return (int)error;
    }
    describe(&checkpoint);
    return (int)store_write(&target, &checkpoint);
}

int run_forget(void) {
    struct checkpoint scratch;
    return setjmp(flash.off) != 0 ? -1 : (int)store_forget(&scratch);
}

// The step that the newest checkpoint is of; 0: there is none; -1: what it holds is not what was saved then.
int run_newest(void) {
    struct checkpoint found, wanted;
    uint32_t age;
    const enum store_place place = store_newest(&found, &age);
    if (place == NOWHERE) {
        return 0;
    }
    run.learner.step = 0;
    checkpoint_aim(&found, &run.learner, run.seed);
    if (store_open(place, &run.dataset, &found) != CHECKPOINT_OK) {
        return -2; // weak: it has read well a moment ago
    }
    checkpoint_aim(&found, &run.learner, run.seed);
    if (!store_take(place, &found) || !checkpoint_restore(&found.header, &run.learner)) {
        return -2;
    }
    const uint32_t step = run.learner.step;
    describe(&found);
    be_at(step);
    describe(&wanted);
    return found.header.crc32 == wanted.header.crc32 ? (int)step : -1;
}

uint32_t run_bytes(void) {
    struct checkpoint checkpoint;
    be_at(1);
    describe(&checkpoint);
    return checkpoint.header.bytes;
}

int run_error(uint32_t slot) {
    struct checkpoint checkpoint;
    return (int)store_open((enum store_place)slot, &run.dataset, &checkpoint);
}
