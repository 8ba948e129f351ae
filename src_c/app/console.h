// SPDX-License-Identifier: MIT
// Lines from the board's console: what is typed ahead is kept, what is typed at the prompt is echoed and edited.
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>

enum console_event {
    CONSOLE_NOTHING,
    CONSOLE_LINE,
    CONSOLE_REFUSED, // a line that cannot be taken as it came: an error has been printed
    CONSOLE_END,     // of input
};

// Takes what has been typed, for console_line() to read. To be called every turn. busy: console_line() is not called meanwhile, so
// that what does not fit is lost where nobody else keeps it.
void console_listen(bool busy);

// Whether something typed waits to be read.
bool console_is_waiting(void);

// Whether Ctrl-C has been typed since the last call; what was typed before it is gone.
bool console_interrupted(void);

// Whether Ctrl-P has been typed since the last call, with which a program asks for a checkpoint; nothing else notices it.
bool console_asks_for_state(void);

void console_prompt(void);

// Reads what waits, up to the end of a line. *line: the line, zero-terminated UTF-8, the caller's until the next call.
enum console_event console_line(char **line);

#endif
