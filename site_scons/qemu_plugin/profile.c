// SPDX-License-Identifier: MIT
// A plugin of QEMU's that counts runs of instructions: which follow which, how often, and on behalf of whom.
//
// Arguments: out=FILE; owner=START-END (hexadecimal) for each function that what is executed elsewhere is counted to while
// it ran last, numbered from 0; after=N: from the first time owner N runs, everything is counted to it. A run is a stretch
// of instructions without a jump. At exit FILE gets a line for each pair of runs: "owner first last next count", the owner
// (-1: none yet), a run's first and last address, the first of the next.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is used of QEMU's plugin interface, version 1.
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                                  void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t, const struct qemu_info_t *, int, char **);

enum { MAX_OWNERS = 64, TABLE_SIZE = 1 << 18 };

struct pair {
    int owner;
    uint32_t first, last, next;
    uint64_t count;
};

static struct {
    uint32_t start, end;
} owners[MAX_OWNERS];
static int owner_count;
static const char *out_path;
static struct pair table[TABLE_SIZE];
static uint32_t pairs;
static int owner = -1;
static int final_owner = -1;
static uint32_t run_first, run_last, run_end; // of the run that goes on; run_end is the address behind it

static void count_pair(uint32_t next) {
    uint32_t slot = (run_first * 2654435761u ^ run_last * 40503u ^ next * 2246822519u ^ (uint32_t)owner * 97u) % TABLE_SIZE;
    while (table[slot].count > 0) {
        const struct pair *pair = &table[slot];
        if (pair->owner == owner && pair->first == run_first && pair->last == run_last && pair->next == next) {
            break;
        }
        slot = (slot + 1) % TABLE_SIZE;
    }
    if (table[slot].count == 0) {
        if (++pairs == TABLE_SIZE - 1) {
            fprintf(stderr, "profile: more than %d pairs of runs\n", TABLE_SIZE);
            exit(1);
        }
        table[slot] = (struct pair){owner, run_first, run_last, next, 0};
    }
    ++table[slot].count;
}

static void executed(unsigned cpu, void *packed) {
    (void)cpu;
    const uint32_t address = (uint32_t)((uintptr_t)packed >> 3);
    if (address != run_end) {
        if (run_end != 0) {
            count_pair(address);
        }
        run_first = address;
        for (int i = 0; i < owner_count && (owner < 0 || owner != final_owner); ++i) {
            if (address >= owners[i].start && address < owners[i].end) {
                owner = i;
            }
        }
    }
    run_last = address;
    run_end = address + (uint32_t)((uintptr_t)packed & 7);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        const uintptr_t packed = (uintptr_t)qemu_plugin_insn_vaddr(insn) << 3 | qemu_plugin_insn_size(insn);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, 0, (void *)packed);
    }
}

static void finish(qemu_plugin_id_t id, void *unused) {
    (void)id;
    (void)unused;
    FILE *out = fopen(out_path, "w");
    if (out == NULL) {
        perror(out_path);
        exit(1);
    }
    count_pair(0);
    for (uint32_t i = 0; i < TABLE_SIZE; ++i) {
        if (table[i].count > 0) {
            fprintf(out, "%d %" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIu64 "\n", table[i].owner, table[i].first,
                    table[i].last, table[i].next, table[i].count);
        }
    }
    fclose(out);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out_path = argv[i] + 4;
        } else if (strncmp(argv[i], "after=", 6) == 0) {
            final_owner = atoi(argv[i] + 6);
        } else if (owner_count == MAX_OWNERS || sscanf(argv[i], "owner=%" SCNx32 "-%" SCNx32, &owners[owner_count].start,
                                                       &owners[owner_count].end) != 2) {
            fprintf(stderr, "profile: cannot use %s\n", argv[i]);
            return 1;
        } else {
            ++owner_count;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return out_path == NULL;
}
