// SPDX-License-Identifier: MIT
#include "core/checkpoint.h"

#include <stddef.h>

#include "core/crc32.h"

static uint32_t whole_words(uint32_t bytes) { return (bytes + 3) & ~3u; }

static struct plan_request request_of(const struct checkpoint_header *header) {
    return (struct plan_request){.shape = header->shape, .documents = header->documents, .steps = header->steps};
}

static void measure(struct checkpoint *checkpoint) {
    const struct checkpoint_header *header = &checkpoint->header;
    const struct plan_request request = request_of(header);
    const bool has_state = header->contents == CHECKPOINT_STATE;
    const uint32_t weights = (uint32_t)sizeof(float) * shape_parameters(&header->shape);
    const uint32_t bytes[CHECKPOINT_PARTS] = {
        [PART_WEIGHTS] = weights,
        [PART_ALPHABET] = (uint32_t)sizeof(uint32_t) * (header->shape.vocab_size - 1),
        [PART_FIRST_MOMENTS] = has_state ? weights : 0,
        [PART_SECOND_MOMENTS] = has_state ? weights : 0,
        [PART_GENERATOR] = has_state ? (uint32_t)sizeof(uint32_t) * RANDOM_STATE_WORDS : 0,
        [PART_ORDER] = has_state ? whole_words((uint32_t)sizeof(uint16_t) * plan_order_length(&request)) : 0,
        [PART_SEED] = has_state ? (uint32_t)sizeof(uint32_t) * header->seed_words : 0,
    };
    for (uint32_t i = 0; i < CHECKPOINT_PARTS; ++i) {
        checkpoint->part[i].start = NULL;
        checkpoint->part[i].bytes = bytes[i];
    }
}

static uint64_t size_of(const struct checkpoint *checkpoint) {
    uint64_t bytes = CHECKPOINT_HEADER_BYTES;
    for (uint32_t i = 0; i < CHECKPOINT_PARTS; ++i) {
        bytes += checkpoint->part[i].bytes;
    }
    return bytes;
}

bool checkpoint_compare(struct checkpoint *checkpoint, const struct dataset *dataset) {
    checkpoint->part[PART_ALPHABET].start = (uint32_t *)(uintptr_t)dataset->characters; // read, never written
    return checkpoint->header.shape.vocab_size == dataset->vocab_size;
}

void checkpoint_aim(struct checkpoint *checkpoint, struct learner *learner, uint32_t *seed) {
    checkpoint->part[PART_WEIGHTS].start = learner->parameters.values;
    if (checkpoint->header.contents == CHECKPOINT_STATE) {
        checkpoint->part[PART_FIRST_MOMENTS].start = learner->parameters.first_moments;
        checkpoint->part[PART_SECOND_MOMENTS].start = learner->parameters.second_moments;
        checkpoint->part[PART_GENERATOR].start = learner->random.state;
        checkpoint->part[PART_ORDER].start = learner->order;
        checkpoint->part[PART_SEED].start = seed;
    }
}

static uint32_t crc32_of_header(const struct checkpoint_header *header) {
    return crc32(header, offsetof(struct checkpoint_header, crc32));
}

void checkpoint_number(struct checkpoint *checkpoint, uint32_t sequence) {
    struct checkpoint_header *header = &checkpoint->header;
    header->sequence = sequence;
    header->body_crc32 = 0;
    for (uint32_t i = 0; i < CHECKPOINT_PARTS; ++i) {
        header->body_crc32 = crc32_more(header->body_crc32, checkpoint->part[i].start, checkpoint->part[i].bytes);
    }
    header->crc32 = crc32_of_header(header);
}

void checkpoint_describe(struct checkpoint *checkpoint, enum checkpoint_contents contents, struct learner *learner,
                         uint32_t *seed, uint32_t seed_words) {
    struct checkpoint_header *header = &checkpoint->header;
    uint8_t *bytes = (uint8_t *)header;
    for (uint32_t i = 0; i < sizeof(*header); ++i) {
        bytes[i] = 0;
    }
    header->magic = CHECKPOINT_MAGIC;
    header->version = CHECKPOINT_VERSION;
    header->contents = contents;
    header->text_crc32 = dataset_crc32(&learner->dataset);
    header->documents = learner->dataset.documents;
    header->shape = learner->model.shape;
    header->steps = learner->steps;
    header->step = learner->step;
    header->learning_rate = learner->learning_rate;
    if (contents == CHECKPOINT_STATE) {
        header->document = learner->document;
        header->schedule = learner->schedule;
        header->schedule.least_second = 0.0f; // found anew
        header->random_next = learner->random.next;
        header->has_gauss = learner->random.has_gauss;
        header->gauss = learner->random.has_gauss ? learner->random.gauss : 0.0f;
        header->seed_words = seed_words;
    }
    measure(checkpoint);
    checkpoint_aim(checkpoint, learner, seed);
    if (learner->order_length % 2 == 1) {
        learner->order[learner->order_length] = 0; // what fills the last word
    }
    (void)checkpoint_compare(checkpoint, &learner->dataset);
    header->bytes = (uint32_t)size_of(checkpoint);
}

// The part that an offset lies in, CHECKPOINT_PARTS behind the last one; *offset: from its start.
static uint32_t part_at(const struct checkpoint *checkpoint, uint32_t *offset) {
    uint32_t i = 0;
    *offset -= CHECKPOINT_HEADER_BYTES;
    while (i < CHECKPOINT_PARTS && *offset >= checkpoint->part[i].bytes) {
        *offset -= checkpoint->part[i].bytes;
        ++i;
    }
    return i;
}

bool checkpoint_put(const struct checkpoint *checkpoint, uint32_t offset, const uint8_t *from, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; ++i) {
        uint32_t at = offset + i;
        const uint32_t part = part_at(checkpoint, &at);
        if (part == CHECKPOINT_PARTS || checkpoint->part[part].start == NULL) {
            continue;
        }
        uint8_t *place = (uint8_t *)checkpoint->part[part].start + at;
        if (part != PART_ALPHABET) {
            *place = from[i];
        } else if (*place != from[i]) {
            return false;
        }
    }
    return true;
}

static bool is_state(const struct checkpoint_header *header) {
    const struct plan_request request = request_of(header);
    return header->document < plan_order_length(&request) && header->random_next <= RANDOM_STATE_WORDS &&
           header->has_gauss <= 1 && header->seed_words >= 1 && header->seed_words <= CHECKPOINT_MOST_SEED_WORDS &&
           header->run.samples >= 1 && header->run.log_every >= 1 && header->run.temperature > 0.0f;
}

enum checkpoint_error checkpoint_check_header(struct checkpoint *checkpoint) {
    const struct checkpoint_header *header = &checkpoint->header;
    if (header->magic != CHECKPOINT_MAGIC) {
        return CHECKPOINT_MISSING;
    }
    if (header->crc32 != crc32_of_header(header)) {
        return CHECKPOINT_DAMAGED_HEADER;
    }
    if (header->version != CHECKPOINT_VERSION) {
        return CHECKPOINT_OTHER_VERSION;
    }
    const bool has_state = header->contents == CHECKPOINT_STATE;
    if ((!has_state && header->contents != CHECKPOINT_WEIGHTS) || shape_check(&header->shape) != SHAPE_OK ||
        header->documents < 1 || header->documents > DATASET_MOST_DOCUMENTS || header->steps < 1 ||
        header->steps > MOST_STEPS || header->step > header->steps || !(header->learning_rate > 0.0f) ||
        (has_state && !is_state(header))) {
        return CHECKPOINT_DAMAGED;
    }
    measure(checkpoint);
    return header->bytes == size_of(checkpoint) ? CHECKPOINT_OK : CHECKPOINT_DAMAGED;
}

enum checkpoint_error checkpoint_check_place(const struct checkpoint_header *header, const struct dataset *dataset,
                                             uint32_t seed_room, struct plan_request *request) {
    const bool has_state = header->contents == CHECKPOINT_STATE;
    if (header->shape.vocab_size != dataset->vocab_size) {
        return has_state ? CHECKPOINT_OTHER_TEXT : CHECKPOINT_OTHER_ALPHABET;
    }
    if (has_state && (header->text_crc32 != dataset_crc32(dataset) || header->documents != dataset->documents)) {
        return CHECKPOINT_OTHER_TEXT;
    }
    request->shape = header->shape;
    request->documents = dataset->documents;
    request->steps = has_state ? header->steps : request->steps;
    request->generates = has_state ? 0 : 1;
    return has_state && header->seed_words > seed_room ? CHECKPOINT_LONG_SEED : CHECKPOINT_OK;
}

bool checkpoint_restore(const struct checkpoint_header *header, struct learner *learner) {
    learner->opening_scale = 0.0f;
    if (header->contents == CHECKPOINT_WEIGHTS) {
        return true;
    }
    learner->learning_rate = header->learning_rate;
    learner->schedule = header->schedule;
    learner->schedule.least_second = 0.0f;
    learner->step = header->step;
    learner->document = header->document;
    learner->random.next = header->random_next;
    learner->random.has_gauss = header->has_gauss != 0;
    learner->random.gauss = header->gauss;
    for (uint32_t i = 0; i < learner->order_length; ++i) {
        if (learner->order[i] >= learner->dataset.documents) {
            return false;
        }
    }
    return true;
}
