/* Signals that end the program, and what systemd is told. */
#ifndef HONE_CLI_SIGNALS_H
#define HONE_CLI_SIGNALS_H

/* SIGINT and SIGTERM end training after the step; a second one kills. Off again with cli_signals_default. */
void cli_signals_catch(void);
void cli_signals_default(void);
/* For the rest of the program: the first of SIGINT and SIGTERM calls `ended`, a second one kills; SIGHUP calls
 * `reloaded`. Both run inside of the signal's handler. A closed pipe is an error of writing and no signal. */
void cli_signals_serve(void (*ended)(void), void (*reloaded)(void));
/* Between the two, signals that end the program wait, so that no file stays half-written. */
void cli_signals_hold(void);
void cli_signals_release(void);
/* The signal that came, 0 if none did. */
int cli_signal(void);
/* Tells systemd, if it has started this process and wants to know: "READY=1". */
void cli_notify(const char *state);

#endif
