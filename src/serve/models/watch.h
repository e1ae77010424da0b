/* Watching directories for changes: inotify where it works, else the caller is told to look itself from
 * time to time (network file systems, limits of inotify). Events say only that it is worth looking. */
#ifndef HONE_SERVE_MODELS_WATCH_H
#define HONE_SERVE_MODELS_WATCH_H

#include <hone/error.h>

#include <stdbool.h>

typedef struct hone_watch hone_watch;

/* `polling`: never inotify. */
hone_status hone_watch_new(bool polling, hone_watch **out, hone_error *err);
void hone_watch_free(hone_watch *w); /* NULL is fine */
/* To be polled for reading; -1: there is nothing to wait for. */
int hone_watch_fd(const hone_watch *w);

/* The directories of one owner (a name), listed anew: between begin and end, those that are to be watched
 * are added; others of that owner are forgotten. True: it was not watched before, so what changed a moment
 * ago may have been missed. */
void hone_watch_begin(hone_watch *w, const char *owner);
bool hone_watch_add(hone_watch *w, const char *directory);
/* False: not all of them can be watched, so the owner is to be looked at from time to time. */
bool hone_watch_end(hone_watch *w);
void hone_watch_forget(hone_watch *w, const char *owner);

/* Reads what has happened and calls `fn` for each owner that it concerns (owner NULL: for all; events were
 * lost). `written`: a file was written to, or may have been; else names or permissions changed. */
void hone_watch_read(hone_watch *w, void (*fn)(void *user, const char *owner, bool written), void *user);

#endif
