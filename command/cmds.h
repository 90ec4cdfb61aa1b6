/* The command functions, one declaration per row of commands.def. */
#ifndef COMMAND_CMDS_H
#define COMMAND_CMDS_H

#include "command/command.h"

#define COMMAND(id, name, usage, complete, summary, details) command_fn cmd_##id;
#include "command/commands.def"
#undef COMMAND

/* An unknown word where one of several was wanted. */
bool cmd_choices(const char *what, const char *word, const char *choices, struct err *e);

/* Runs, waits as the shell wants, and shows the stop. */
bool cmd_ran(struct shell *sh, struct output *o);

/* "l1", "l2", "l2:2": a level as commands spell it. */
void cmd_level_name(unsigned level, struct output *o);

/* "name+0x12" or NULL text when there is no symbol. */
void cmd_symbol(struct shell *sh, struct place at, uint64_t address, struct output *o);

#endif
