// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE // mmap
#include "board/board.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "text/print.h"

extern const char dataset_start[], dataset_end[]; // dataset.S

void board_console_write(const char *text, uint32_t length) {
    const bool line_ends = length > 0 && text[length - 1] == '\n';
    if (fwrite(text, 1, length, stdout) != length || (line_ends && fflush(stdout) != 0)) {
        perror("microgpt: cannot write");
        exit(EXIT_FAILURE);
    }
}

bool board_is_interactive(void) { return false; }

bool board_is_chip(void) { return false; }

static bool has_input(int milliseconds) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, milliseconds) > 0;
}

int32_t board_console_read(void) {
    static uint8_t bytes[4096];
    static ssize_t count, next;
    if (next == count) {
        if (!has_input(0)) {
            return INPUT_NONE;
        }
        next = 0;
        count = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (count <= 0) {
            count = 0;
            return INPUT_END;
        }
    }
    return bytes[next++];
}

void board_print_info(void) { print_text("a program of this machine\n"); }

void board_reset(void) { exit(EXIT_SUCCESS); }

uint32_t board_cycles(void) { return 0; }

uint32_t board_cycles_per_millisecond(void) { return 0; }

uint32_t board_random(void) { board_abort("only the chip can draw a seed"); }

const void *board_dataset(uint32_t *capacity) {
    *capacity = (uint32_t)((uintptr_t)dataset_end - (uintptr_t)dataset_start);
    return dataset_start;
}

bool board_has_second_core(void) { return false; }

bool board_start_second_core(void) { return false; }

// What the command line names: resume=FILE, checkpoint=FILE.
static const char *given, *kept;
static FILE *writing;

bool board_file_is_given(void) { return given != NULL; }

bool board_file_read(uint32_t offset, void *to, uint32_t bytes) {
    static FILE *file;
    if (given != NULL && (file == NULL || offset == 0)) {
        if (file != NULL) {
            fclose(file); // it may be another one by now, if it is saved to as well
        }
        file = fopen(given, "rb");
    }
    return file != NULL && fseek(file, (long)offset, SEEK_SET) == 0 && fread(to, 1, bytes, file) == bytes;
}

const void *board_file_in_place(uint32_t bytes) {
    FILE *file = given != NULL ? fopen(given, "rb") : NULL;
    if (file == NULL) {
        return NULL;
    }
    const bool is_long_enough = fseek(file, 0, SEEK_END) == 0 && ftell(file) >= (long)bytes;
    const void *start = is_long_enough ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fileno(file), 0) : MAP_FAILED;
    fclose(file);
    return start == MAP_FAILED ? NULL : start;
}

bool board_file_is_kept(void) { return kept != NULL; }

static const char *unfinished(void) {
    static char name[PATH_MAX + sizeof(".part")];
    snprintf(name, sizeof(name), "%s.part", kept);
    return name;
}

bool board_file_write(uint32_t offset, const void *from, uint32_t bytes) {
    if (offset == 0) {
        if (writing != NULL) {
            fclose(writing);
        }
        writing = fopen(unfinished(), "wb");
    }
    return writing != NULL && fwrite(from, 1, bytes, writing) == bytes;
}

bool board_file_keep(void) {
    const bool whole = fflush(writing) == 0 && fsync(fileno(writing)) == 0;
    const bool closed = fclose(writing) == 0;
    writing = NULL;
    return whole && closed && rename(unfinished(), kept) == 0;
}

const void *board_flash_in_place(uint32_t offset) {
    (void)offset;
    return NULL;
}

// As much address space as any model may take; pages come as they are used.
uint32_t board_memory(uint32_t bank, void **start) {
    const uint32_t bytes = 0xFFFFF000u;
    if (bank > 0) {
        return 0;
    }
    *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return *start == MAP_FAILED ? 0 : bytes;
}

void board_exit(int status) { exit(status); }

void board_abort(const char *reason) {
    fprintf(stderr, "microgpt: %s\n", reason);
    exit(EXIT_FAILURE);
}

// What follows name= in a word, or NULL.
static const char *value_of(const char *word, const char *name) {
    const size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' && word[length + 1] != '\0' ? word + length + 1 : NULL;
}

int main(int count, char **words) {
    for (int i = 1; i < count; ++i) {
        const char *resume = value_of(words[i], "resume");
        const char *checkpoint = value_of(words[i], "checkpoint");
        if (resume == NULL && checkpoint == NULL) {
            board_abort("only resume=FILE and checkpoint=FILE are taken");
        }
        given = resume != NULL ? resume : given;
        kept = checkpoint != NULL ? checkpoint : kept;
    }
    app_begin();
    for (;;) {
        switch (app_turn()) {
        case APP_GOES_ON:
            break;
        case APP_WAITS:
            fflush(stdout);
            has_input(-1);
            break;
        case APP_ENDED:
            board_exit(app_status());
        }
    }
}
