/* `nestscope run`: builds the machine, starts the front ends, runs. */
#ifndef APP_RUN_H
#define APP_RUN_H

/* Words after `run`; returns the exit status. */
int app_run(int argc, char **argv);

#endif
