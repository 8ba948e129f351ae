// SPDX-License-Identifier: MIT
#include "app/console.h"

#include <stdint.h>

#include "app/parse.h"
#include "board/board.h"
#include "text/print.h"

enum { TYPED_AHEAD = 256, LONGEST_LINE = 255, HISTORY = 256 };

enum {
    NUL = 0,
    LOST_HERE = NUL, // no byte of the line: it is never taken from there
    CTRL_C = 3,
    BELL = 7,
    BACKSPACE = 8,
    TAB = 9,
    LF = 10,
    CR = 13,
    CTRL_P = 16,
    CTRL_U = 21,
    ESCAPE = 27,
    DELETE = 127,
    ALL_ONES = 255,
};

// Why a line is refused.
enum fault { NO_FAULT, TOO_LONG, IS_NOT_UTF8, LOST_BYTES };

// Where in a key's escape sequence the input stands: ESC [ digits and a letter, or ESC O and a letter.
enum escape { NO_ESCAPE, AFTER_ESCAPE, IN_SEQUENCE };

static struct {
    uint8_t queue[TYPED_AHEAD]; // a ring; LOST_HERE stands for what found no room
    uint32_t first;
    uint32_t count;
    bool ended;
    bool interrupted;
    bool asks_for_state;

    char line[LONGEST_LINE + 1];
    uint32_t length;
    enum fault fault;
    bool after_cr;
    enum escape escape;

    char history[HISTORY]; // lines, each with its zero byte, the newest last
    uint32_t history_length;
    uint32_t recalled; // where the line begins that an arrow key has brought back; history_length: none
} console;

void console_listen(bool busy) {
    while (console.count < TYPED_AHEAD || (busy && board_is_interactive())) {
        const int32_t byte = board_console_read();
        if (byte == CTRL_C) {
            console.interrupted = true;
            console.count = 0;
        } else if (byte == CTRL_P && board_is_interactive()) {
            console.asks_for_state = true;
        } else if (byte == NUL || byte == ALL_ONES) {
            continue; // what a line that is not driven makes
        } else if (byte >= 0 || byte == INPUT_LOST) {
            const bool has_room = console.count < TYPED_AHEAD;
            console.count += has_room;
            console.queue[(console.first + console.count - 1) % TYPED_AHEAD] =
                has_room && byte >= 0 ? (uint8_t)byte : LOST_HERE;
        } else {
            console.ended = console.ended || byte == INPUT_END;
            return;
        }
    }
}

bool console_is_waiting(void) { return console.count > 0; }

bool console_interrupted(void) {
    const bool interrupted = console.interrupted;
    console.interrupted = false;
    if (interrupted) {
        console.length = 0;
        console.fault = NO_FAULT;
        console.escape = NO_ESCAPE;
        console.recalled = console.history_length;
    }
    return interrupted;
}

bool console_asks_for_state(void) {
    const bool asks = console.asks_for_state;
    console.asks_for_state = false;
    return asks;
}

void console_prompt(void) { print_text("> "); }

static void echo(char character) {
    if (board_is_interactive()) {
        print_repeated(character, 1);
    }
}

static bool continues_character(char byte) { return ((uint8_t)byte & 0xC0) == 0x80; }

// Takes the last character off the line and the terminal.
static void rub_out(void) {
    while (console.length > 0 && continues_character(console.line[--console.length])) {
    }
    if (board_is_interactive()) {
        print_text("\b \b");
    }
}

static void clear_line(void) {
    while (console.length > 0) {
        rub_out();
    }
    console.fault = NO_FAULT;
}

static void insert(char byte) {
    if (console.fault != NO_FAULT || console.length == LONGEST_LINE) {
        console.fault = console.fault == NO_FAULT ? TOO_LONG : console.fault;
        echo(BELL);
        return;
    }
    console.line[console.length++] = byte;
    echo(byte);
}

// Brings back the line before the one shown, or after it; past the newest one an empty line.
static void recall(bool earlier) {
    uint32_t at = console.recalled;
    if (earlier && at > 0) {
        do {
            --at;
        } while (at > 0 && console.history[at - 1] != '\0');
    } else if (!earlier && at < console.history_length) {
        while (console.history[at++] != '\0') {
        }
    }
    console.recalled = at;
    clear_line();
    for (; at < console.history_length && console.history[at] != '\0'; ++at) {
        insert(console.history[at]);
    }
}

// Keeps the line, at the price of the oldest ones.
static void remember(void) {
    const uint32_t bytes = console.length + 1;
    uint32_t forgotten = 0;
    while (forgotten < console.history_length && console.history_length - forgotten + bytes > HISTORY) {
        while (console.history[forgotten++] != '\0') {
        }
    }
    const uint32_t kept = console.history_length - forgotten;
    for (uint32_t i = 0; i < kept; ++i) {
        console.history[i] = console.history[forgotten + i];
    }
    for (uint32_t i = 0; i < bytes; ++i) {
        console.history[kept + i] = console.line[i];
    }
    console.history_length = kept + bytes;
}

// Whether the byte belongs to an escape sequence. Arrow keys up and down recall lines; other keys of this kind do nothing.
static bool escaped(uint8_t byte) {
    switch (console.escape) {
    case NO_ESCAPE:
        console.escape = byte == ESCAPE ? AFTER_ESCAPE : NO_ESCAPE;
        return byte == ESCAPE;
    case AFTER_ESCAPE:
        console.escape = byte == '[' || byte == 'O' ? IN_SEQUENCE : NO_ESCAPE;
        return console.escape == IN_SEQUENCE;
    case IN_SEQUENCE:
        if (byte == 'A' || byte == 'B') {
            recall(byte == 'A');
        }
        console.escape = byte >= 0x20 && byte < 0x40 ? IN_SEQUENCE : NO_ESCAPE;
        return byte >= 0x20 && byte < 0x7F;
    }
    return false;
}

static bool is_utf8(const char *text) {
    while (*text != '\0') {
        if (next_code_point(&text) == NOT_UTF8) {
            return false;
        }
    }
    return true;
}

// Ends the line and says what of it can be used.
static enum console_event take_line(char **line) {
    enum fault fault = console.fault;
    console.line[console.length] = '\0';
    fault = fault == NO_FAULT && !is_utf8(console.line) ? IS_NOT_UTF8 : fault;
    if (board_is_interactive()) {
        print_text("\n");
    }
    if (fault == NO_FAULT && console.length > 0) {
        remember();
    }
    console.length = 0;
    console.fault = NO_FAULT;
    console.recalled = console.history_length;
    *line = console.line;
    switch (fault) {
    case NO_FAULT:
        return CONSOLE_LINE;
    case TOO_LONG:
        print_text("error: the line is longer than ");
        print_unsigned(LONGEST_LINE, 1);
        print_text(" bytes; nothing of it was done\n");
        break;
    case IS_NOT_UTF8:
        print_text("error: the line is not UTF-8; nothing of it was done\n");
        break;
    case LOST_BYTES:
        print_text("error: more was typed ahead than fits, and some is lost; send a line at a time, after the prompt\n");
        break;
    }
    return CONSOLE_REFUSED;
}

enum console_event console_line(char **line) {
    while (console.count > 0) {
        const uint8_t byte = console.queue[console.first];
        const bool ends_crlf = byte == LF && console.after_cr;
        console.first = (console.first + 1) % TYPED_AHEAD;
        --console.count;
        console.after_cr = byte == CR;
        if (ends_crlf || escaped(byte)) {
            continue;
        }
        if (byte == CR || byte == LF) {
            return take_line(line);
        }
        if (byte == LOST_HERE) {
            console.fault = LOST_BYTES;
        } else if (byte == BACKSPACE || byte == DELETE) {
            if (console.length > 0) {
                rub_out();
            }
        } else if (byte == CTRL_U) {
            clear_line();
        } else if (byte == TAB) {
            insert(' ');
        } else if (byte >= 0x20) {
            insert((char)byte);
        }
    }
    if (console.ended && console.length > 0) {
        return take_line(line);
    }
    return console.ended ? CONSOLE_END : CONSOLE_NOTHING;
}
