// SPDX-License-Identifier: MIT
// The commands' functions: each prints its answer. A function with _turn behind its name goes on with what the other began.
#ifndef COMMAND_LIST_H
#define COMMAND_LIST_H

#include "app/commands.h"

// settings_commands.c
enum command_state info(char *arguments);
enum command_state set(char *arguments);
enum command_state temperature(char *arguments);
enum command_state reset(char *arguments);

// remember.c
enum command_state save(char *arguments);
enum command_state load(char *arguments);
enum command_state forget(char *arguments);

// model_commands.c
enum command_state train(char *arguments);
enum command_state train_turn(void);
enum command_state names(char *arguments);
enum command_state complete(char *arguments);
enum command_state names_turn(void);
enum command_state teach(char *arguments);
enum command_state teach_turn(void);
enum command_state loss(char *arguments);
enum command_state loss_turn(void);
enum command_state next(char *arguments);
enum command_state next_turn(void);
enum command_state attention(char *arguments);
enum command_state attention_turn(void);

// check/check.c
enum command_state check(char *arguments);
enum command_state check_turn(void);

#endif
