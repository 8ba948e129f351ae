// SPDX-License-Identifier: MIT
// What can be typed at the prompt.
#ifndef COMMANDS_H
#define COMMANDS_H

enum command_state {
    COMMAND_NONE, // the line is empty
    COMMAND_DONE,
    COMMAND_FAILED, // "error: ..." has been printed
    COMMAND_GOES_ON,
};

// Begins what a line asks for, and prints the answer up to its end, or the beginning of one that takes more turns.
// line: zero-terminated UTF-8, taken apart and to be kept until the command is done.
enum command_state command_run(char *line);

// The next turn of the command that goes on.
enum command_state command_turn(void);

// Ends it before its time.
enum command_state command_stop(void);

#endif
