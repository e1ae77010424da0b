#include "signals.h"

#include <pthread.h>
#include <signal.h>

static volatile sig_atomic_t signal_seen;

static void remember(int number) {
    signal_seen = number;
}

static void set_handlers(void (*handler)(int)) {
    /* SA_RESETHAND: the second signal finds the default, which kills. */
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void cli_signals_catch(void) {
    set_handlers(remember);
}

void cli_signals_default(void) {
    set_handlers(SIG_DFL);
}

static sigset_t signals_before;

/* The library's threads take no signals. */
void cli_signals_hold(void) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ending, &signals_before);
}

void cli_signals_release(void) {
    pthread_sigmask(SIG_SETMASK, &signals_before, NULL);
}

int cli_signal(void) {
    return signal_seen;
}
