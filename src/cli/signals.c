#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static void (*when_ended)(void), (*when_reloaded)(void);
static volatile sig_atomic_t signal_seen;

/* As if nobody handled it. The first process of a container would outlive that. */
static void die_of(int number) {
    sigset_t only;
    signal(number, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, number);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    raise(number);
    _exit(128 + number);
}

static void end(int number) {
    if (signal_seen) die_of(number);
    signal_seen = number;
    if (when_ended) when_ended();
}

static void reload(int number) {
    (void)number;
    when_reloaded();
}

static void handle(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void cli_signals_catch(void) {
    handle(SIGINT, end);
    handle(SIGTERM, end);
}

void cli_signals_default(void) {
    handle(SIGINT, SIG_DFL);
    handle(SIGTERM, SIG_DFL);
}

void cli_signals_serve(void (*ended)(void), void (*reloaded)(void)) {
    when_ended = ended;
    when_reloaded = reloaded;
    handle(SIGHUP, reload);
    handle(SIGPIPE, SIG_IGN);
    cli_signals_catch();
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
