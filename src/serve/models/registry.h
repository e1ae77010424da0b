/* What is known of each model and version. Front ends read it, the loader's thread changes it.
 *
 * The lock guards the list of records, their versions and labels, and of these what front ends see. Only
 * the loader's thread writes them (before it is started: whoever sets it up), so it reads without
 * the lock. */
#ifndef HONE_SERVE_MODELS_REGISTRY_H
#define HONE_SERVE_MODELS_REGISTRY_H

#include "serve/models/core_options.h"
#include "serve/models/listing.h"
#include "serve/models/version_state.h"
#include "serve/servable/warmup.h"

#include <pthread.h>

/* Since when files have looked as they do. */
typedef struct hone_rest {
    hone_print print;
    uint64_t since;
} hone_rest;

typedef struct hone_version {
    int64_t number;
    hone_version_state state;
    hone_status code;
    char message[384];
    hone_servable *servable;       /* a reference, while it is served */
    const hone_servable *draining; /* the one that state UNLOADING is about; not to be looked into */
    size_t bytes;
    hone_version_stats *stats;
    /* The loader's. */
    char name[24];               /* of its directory */
    bool present, wanted, final; /* final: not to be tried again until the file changes */
    bool fallback;               /* it may be served since no version that is wanted can be loaded */
    bool written;         /* its files may be other ones although nothing but the time of a change tells */
    uint64_t weight;      /* bytes of its files */
    hone_file_list files; /* that it was read from at the last try, or were looked for; before: the model's */
    hone_file_list mapped;                    /* of those that are served, as they were then */
    hone_print there, learned, tried, loaded; /* learned: when `files` was, without loading it */
    hone_rest rest;
    uint64_t retry_at;
    int failures;
    int early;      /* tries in a row that found its files being written to */
    char told[384]; /* of the last failure */
} hone_version;

typedef struct hone_record_label {
    char *name;
    int64_t version, wanted; /* version -1: not loaded yet */
    bool stale;
} hone_record_label;

typedef struct hone_record {
    char *name;
    hone_version **versions; /* ascending */
    size_t count, capacity;
    hone_record_label *labels;
    size_t label_count, label_capacity;
    /* The loader's. */
    char *root, *inside; /* its place; root NULL: it is in memory */
    bool file;
    bool named;        /* by an option or a configuration: not having it is an error at the start */
    bool configured;   /* by a set that replaces all others */
    bool unloaded;     /* by the administration */
    bool removed;      /* to be forgotten when nothing of it is left */
    bool dirty, blind; /* to be looked at; not watched, so to be looked at from time to time */
    bool written;      /* to a file in one of its directories, since it was looked at */
    bool elsewhere;    /* as of hone_listing: to be looked at from time to time, too */
    hone_fingerprint directory;
    uint64_t due; /* when to look next; 0: never */
    double ratio; /* memory to file size, of what was loaded last */
    hone_policy policy;
    hone_label *asked; /* labels of the configuration */
    size_t asked_count;
    hone_model_settings settings;
    hone_print settings_file;
    hone_rest settings_rest;
    bool settings_written;     /* as of a version */
    bool settings_set;         /* over the API */
    hone_status settings_code; /* of what is wrong with the file */
    char settings_message[256];
    /* Front ends see these, too. */
    hone_status code; /* of what is wrong with the directory or the settings */
    char message[256];
    hone_remarks remarks;
} hone_record;

typedef struct hone_registry {
    int workers, model_threads, compute_threads;
    hone_core_options options;
    char *repository, *config_file;
    hone_model_settings defaults; /* for what a model's own settings don't say */
    hone_stats *stats;
    /* Takes servables whose last reference is gone. */
    void (*retire)(void *user, hone_servable *s);
    void *retire_user;
    void (*changed)(void *user); /* after the state of some version did; NULL: nobody is told */
    void *changed_user;
    atomic_size_t bytes; /* of all servables that are there */
    atomic_bool halted;  /* nothing is loaded any more */
    pthread_rwlock_t lock;
    hone_record **records; /* by name */
    size_t count, capacity;
    hone_remarks remarks; /* on the repository */
} hone_registry;

/* `stats` is borrowed. */
void hone_registry_init(hone_registry *g, int workers, int model_threads, hone_stats *stats);
/* Releases what is served. */
void hone_registry_free(hone_registry *g); /* what it holds */
/* `options` NULL: the defaults. HONE_FAILED_PRECONDITION: there are models already. */
hone_status hone_registry_configure(hone_registry *g, const hone_core_options *options, hone_error *err);

/* HONE_UNAVAILABLE when nothing is to be loaded any more. */
hone_status hone_registry_go_on(const hone_registry *g, hone_error *err);

/* Under the lock, or by the loader. NULL if it is not there. */
hone_record *hone_registry_find(const hone_registry *g, const char *name, size_t size);
hone_version *hone_record_version(const hone_record *r, int64_t number);
bool hone_record_serves(const hone_record *r);               /* any version */
const hone_policy *hone_record_policy(const hone_record *r); /* the settings', else the configuration's */
/* New ones; these take the lock themselves. NULL when memory is out. */
hone_record *hone_registry_add(hone_registry *g, const char *name);
hone_version *hone_registry_add_version(hone_registry *g, hone_record *r, int64_t number);
/* Nothing of it is served. */
void hone_registry_drop_version(hone_registry *g, hone_record *r, size_t index);
void hone_registry_drop(hone_registry *g, hone_record *r);

/* What is wrong with a record, and remarks that take the place of `l`'s, which gets the old ones. */
void hone_registry_set_trouble(hone_registry *g, hone_record *r, hone_status code, const char *message);
void hone_registry_set_remarks(hone_registry *g, hone_remarks *l, hone_remarks *now);
void hone_registry_set_state(hone_registry *g, hone_version *v, hone_version_state state, hone_status code,
                             const char *message);
/* Takes the reference; what was served before is released. NULL: nothing is served any more. */
void hone_registry_publish(hone_registry *g, hone_version *v, hone_servable *s);

hone_servable_options hone_registry_servable_options(hone_registry *g, const char *name, int64_t version,
                                                     const hone_model_settings *settings);
/* What a model's own settings don't say is as the options do. */
hone_language_settings hone_registry_language(const hone_registry *g, const hone_language_settings *own);
/* Warms it up, counts its memory and checks the limit. */
hone_status hone_registry_prepare(hone_registry *g, hone_servable *s, const hone_recorded *recorded,
                                  hone_error *err);

#endif
