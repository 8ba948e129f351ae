// SPDX-License-Identifier: MIT
// Trains and samples with a team of two, a thread for each member: arguments DATASET n_embd n_head n_layer block_size steps
// samples [LEFT_OUT]. Prints losses, samples, what a document that it reads loses, the same once more from a copy of the weights
// and activations alone, and the checksum, as numbers. LEFT_OUT: number of a barrier, counted from 0 in each
// job, that both members pass without waiting. Linked with --wrap=team_meet and --wrap=team_post.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/learner.h"

static struct team team = {.members = 2};
static struct learner learner;
static long left_out = -1;
static long barriers[MOST_MEMBERS];

void __real_team_meet(const struct worker *worker);
void __wrap_team_meet(const struct worker *worker);
void __real_team_post(struct team *of, uint32_t job, void *argument);
void __wrap_team_post(struct team *of, uint32_t job, void *argument);

void __wrap_team_meet(const struct worker *worker) {
    if (barriers[worker->index]++ != left_out) {
        __real_team_meet(worker);
    }
}

void __wrap_team_post(struct team *of, uint32_t job, void *argument) {
    barriers[0] = 0;
    __real_team_post(of, job, argument);
}

static void *second(void *unused) {
    const struct worker worker = {&team, 1};
    for (uint32_t jobs = 0;; ++jobs) {
        team_await(&team, jobs);
        barriers[1] = 0;
        if (team.job == LEARNER_JOBS) {
            return unused;
        }
        learner_help(&learner, &worker);
    }
}

static void *read_file(const char *path, uint32_t *bytes) {
    FILE *file = fopen(path, "rb");
    void *image = malloc(1 << 22);
    *bytes = (uint32_t)fread(image, 1, 1 << 22, file);
    fclose(file);
    return image;
}

static void print_samples(uint32_t samples) {
    uint8_t *tokens = learner.model.tokens;
    for (uint32_t sample = 0; sample < samples; ++sample) {
        const uint32_t length = learner_complete(&learner, tokens, 0, 0.5f, NULL);
        for (uint32_t i = 0; i < length; ++i) {
            printf("%u ", tokens[i]);
        }
        printf("\n");
    }
}

static void print_reading(const uint8_t *document, uint32_t length) {
    const uint32_t count = learner_read(&learner, document, length);
    printf("reads\n");
    for (uint32_t t = 0; t < count; ++t) {
        learner_read_position(&learner, t);
        printf("%a\n", (double)learner_loss_at(&learner, t));
    }
}

int main(int argc, char **argv) {
    uint32_t bytes = 0;
    struct dataset dataset;
    const void *image = argc < 8 ? NULL : read_file(argv[1], &bytes);
    if (dataset_open(image, bytes, &dataset) != DATASET_OK) {
        return 1;
    }
    uint32_t numbers[6];
    for (int i = 0; i < 6; ++i) {
        numbers[i] = (uint32_t)strtoul(argv[2 + i], NULL, 10);
    }
    left_out = argc > 8 ? strtol(argv[8], NULL, 10) : -1;
    const uint32_t seed[] = {42};
    const struct recipe recipe = {seed, 1, numbers[4], 0.01f};
    const struct model_shape shape = {numbers[0], numbers[1], numbers[2], numbers[3], dataset.vocab_size};
    struct plan_request request = {shape, dataset.documents, numbers[4], 0};
    const struct banks banks = {1, {{malloc(1 << 24), 1 << 24}}};
    pthread_t thread;
    pthread_create(&thread, NULL, second, NULL);
    learner_begin(&learner, &request, &banks, &dataset, &recipe, &team);
    for (uint32_t step = 0; step < numbers[4]; ++step) {
        printf("%a\n", (double)learner_step(&learner));
    }
    printf("barriers %ld\n", barriers[0]);
    print_samples(numbers[5]);
    print_reading(dataset.tokens, numbers[3]);
    const size_t weights_bytes = learner.model.parameters * sizeof(float);
    const float *weights = memcpy(malloc(weights_bytes), learner.parameters.values, weights_bytes);
    memset(banks.bank[0].start, 0xFF, banks.bank[0].bytes);
    request.generates = 1;
    learner_generate(&learner, &request, &banks, &dataset, weights, &team);
    print_reading(dataset.tokens, numbers[3]);
    printf("end\n");
    print_samples(numbers[5]);
    printf("%08x\n", learner_checksum(&learner));
    team_post(&team, LEARNER_JOBS, NULL);
    pthread_join(thread, NULL);
    return 0;
}
