#include "graph/rewrite.h"

#include "graph/infer.h"

#include <string.h>

/* Is `name` one of the comma-separated words? */
static bool listed(const char *words, const char *name, size_t length) {
    for (const char *w = words; w && *w;) {
        size_t n = strcspn(w, ",");
        if (n == length && strncmp(w, name, n) == 0) return true;
        w += n + (w[n] == ',');
    }
    return false;
}

static hone_status check_words(const char *words, hone_error *err) {
    for (const char *w = words; w && *w;) {
        size_t n = strcspn(w, ",");
        bool known = n == 3 && strncmp(w, "all", 3) == 0;
        for (int i = 0; !known && hone_rewrite_at(i); i++)
            known = strlen(hone_rewrite_at(i)->name) == n && strncmp(hone_rewrite_at(i)->name, w, n) == 0;
        if (!known) return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no rewrite \"%.*s\"", (int)n, w);
        w += n + (w[n] == ',');
    }
    return HONE_OK;
}

hone_status hone_graph_rewrite(hone_graph *g, const char *disabled, hone_error *err) {
    HONE_TRY(check_words(disabled, err));
    if (listed(disabled, "all", 3)) return HONE_OK;
    for (int i = 0; hone_rewrite_at(i); i++) {
        const hone_rewrite *r = hone_rewrite_at(i);
        if (listed(disabled, r->name, strlen(r->name))) continue;
        int changes = 0;
        HONE_TRY(r->run(g, &changes, err));
        HONE_TRY(hone_graph_check(g, err));
        if (!changes) continue;
        hone_graph_prune(g);
        HONE_TRY(hone_graph_sort(g, err));
        HONE_TRY(hone_graph_infer(g, err));
    }
    return HONE_OK;
}
