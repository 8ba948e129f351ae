// SPDX-License-Identifier: MIT
// A plugin of QEMU's that counts runs of instructions: which follow which, how often, and on behalf of whom.
//
// A run is a stretch of instructions without a jump. What is executed from the first instruction of a phase's function until
// control is back behind its call counts to the phase, but to a phase called from there while that one lasts; so with
// kernels, apart from phases.
// Arguments: out=FILE; phase=START, kernel=START for each, the address of its function (hexadecimal), both numbered from 0;
// keep=N: what phase N calls counts to it in any case. At exit FILE gets a line for each pair of runs: "phase kernel first
// last then_first then_last count": phase and kernel of the second run (-1: none), the addresses of the first and the last
// instruction of both, 0 0 where nothing ran before.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is used of QEMU's plugin interface: it is the same in version 1 (QEMU up to 8) and in version 2 and later (from 9).
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

extern int qemu_plugin_num_vcpus(void) __attribute__((weak)); // in QEMU since version 2, which refuses plugins of version 1

__attribute__((visibility("default"))) int qemu_plugin_version;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t, const struct qemu_info_t *, int, char **);

// Runs while the plugin is loaded, before QEMU reads the version.
__attribute__((constructor)) static void choose_version(void) { qemu_plugin_version = qemu_plugin_num_vcpus ? 2 : 1; }

enum { MAX_SCOPES = 64, MAX_DEPTH = 32, TABLE_SIZE = 1 << 18, NONE = -1 };

struct run {
    uint32_t first, last;
};

struct scope {
    int phase, kernel;
};

struct pair {
    struct scope scope;
    struct run run, then;
    uint64_t count;
};

static struct {
    uint32_t address; // of its function
    bool is_kernel;
    int number;
} functions[MAX_SCOPES];
static int function_count, phase_count, kernel_count;
static int kept = NONE; // phase
static const char *out_path;
static struct pair table[TABLE_SIZE];
static uint32_t pairs;
static struct run before;  // the run before the one that goes on
static struct run current; // the run that goes on
static uint32_t behind;    // the address behind it; 0 before the first
static struct scope scope = {NONE, NONE};
static struct {
    uint32_t function, return_address;
    struct scope scope; // to return to
} calls[MAX_DEPTH];
static int depth;

static _Noreturn void fail(const char *what, const char *text) {
    fprintf(stderr, "profile: %s%s\n", what, text);
    exit(1);
}

static bool is_same(const struct pair *pair) {
    return pair->scope.phase == scope.phase && pair->scope.kernel == scope.kernel && pair->run.first == before.first &&
           pair->run.last == before.last && pair->then.first == current.first && pair->then.last == current.last;
}

static void count_pair(void) {
    const uint32_t hash = before.first * 2654435761u ^ before.last * 2246822519u ^ current.first * 3266489917u ^
                          current.last * 668265263u ^ (uint32_t)(scope.phase * 64 + scope.kernel) * 374761393u;
    uint32_t slot = (hash ^ hash >> 15) % TABLE_SIZE;
    while (table[slot].count > 0 && !is_same(&table[slot])) {
        slot = (slot + 1) % TABLE_SIZE;
    }
    if (table[slot].count == 0) {
        if (++pairs == TABLE_SIZE) {
            fail("too many pairs of runs", "");
        }
        table[slot] = (struct pair){scope, before, current, 0};
    }
    ++table[slot].count;
}

// Follows a jump to `address` from the instruction that ends at `behind`.
static void change_scope(uint32_t address) {
    if (depth > 0 && address == calls[depth - 1].return_address) {
        scope = calls[--depth].scope;
        return;
    }
    if (depth > 0 && address == calls[depth - 1].function) {
        return; // once more, after a window exception: none of these calls itself
    }
    for (int i = 0; i < function_count; ++i) {
        if (address == functions[i].address) {
            if (depth == MAX_DEPTH) {
                fail("calls nest too deep", "");
            }
            calls[depth].function = address;
            calls[depth].return_address = behind;
            calls[depth++].scope = scope;
            break;
        }
    }
    for (int i = 0; i < function_count; ++i) {
        if (address == functions[i].address) {
            if (functions[i].is_kernel) {
                scope.kernel = functions[i].number;
            } else if (scope.phase == NONE || scope.phase != kept) {
                scope.phase = functions[i].number;
            }
        }
    }
}

static void executed(unsigned cpu, void *packed) {
    (void)cpu;
    const uint32_t address = (uint32_t)((uintptr_t)packed >> 3);
    if (address != behind) {
        if (behind != 0) {
            count_pair();
            before = current;
        }
        change_scope(address);
        current.first = address;
    }
    current.last = address;
    behind = address + (uint32_t)((uintptr_t)packed & 7);
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
        fail("cannot write ", out_path);
    }
    count_pair();
    for (uint32_t i = 0; i < TABLE_SIZE; ++i) {
        const struct pair *pair = &table[i];
        if (pair->count > 0) {
            fprintf(out, "%d %d %" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIu64 "\n", pair->scope.phase,
                    pair->scope.kernel, pair->run.first, pair->run.last, pair->then.first, pair->then.last, pair->count);
        }
    }
    if (fclose(out) != 0) {
        fail("cannot write ", out_path);
    }
}

static bool add_function(const char *argument) {
    const bool is_kernel = strncmp(argument, "kernel=", 7) == 0;
    if (function_count == MAX_SCOPES ||
        sscanf(argument, is_kernel ? "kernel=%" SCNx32 : "phase=%" SCNx32, &functions[function_count].address) != 1) {
        return false;
    }
    functions[function_count].is_kernel = is_kernel;
    functions[function_count++].number = is_kernel ? kernel_count++ : phase_count++;
    return true;
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out_path = argv[i] + 4;
        } else if (strncmp(argv[i], "keep=", 5) == 0) {
            kept = atoi(argv[i] + 5);
        } else if (!add_function(argv[i])) {
            fprintf(stderr, "profile: cannot use %s\n", argv[i]);
            return 1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return out_path == NULL;
}
