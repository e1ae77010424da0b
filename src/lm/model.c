#include "lm/model.h"

#include "base/error.h"
#include "base/memory.h"

enum { USUAL_CONTEXT = 4096, MOST_CONTEXT = 1 << 24 };

static hone_status compile(hone_lm *m, hone_graph *g, const hone_lm_options *o, hone_error *err) {
    hone_model_options model = HONE_MODEL_OPTIONS_INIT;
    hone_session_options session = HONE_SESSION_OPTIONS_INIT;
    model.threads = session.threads = o->threads;
    model.precision = o->precision;
    HONE_TRY(hone_model_take(g, &model, &m->model, err));
    return hone_session_create(m->model, &session, &m->session, err);
}

static hone_status choose_context(hone_lm *m, const hone_graph *g, const hone_lm_options *o,
                                  hone_error *err) {
    const int64_t known = hone_lm_positions(g), usual = o->least > 0 ? o->least : USUAL_CONTEXT;
    m->context = o->context ? o->context : known && known < usual ? known : usual;
    if (m->context < 1 || m->context > (known ? known : MOST_CONTEXT))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a context of %lld; the model has positions for %lld",
                         (long long)m->context, (long long)(known ? known : MOST_CONTEXT));
    return HONE_OK;
}

static hone_status choose_pages(hone_lm *m, const hone_lm_room *room, hone_error *err) {
    const int64_t whole = (m->context + HONE_LM_PAGE - 1) / HONE_LM_PAGE;
    m->pages = whole;
    if (!room) return HONE_OK;
    const size_t fit = room->bytes / m->form.page_bytes;
    m->pages = fit < MOST_CONTEXT ? (int64_t)fit : MOST_CONTEXT;
    if (room->texts && m->pages / room->texts > whole) m->pages = whole * room->texts;
    if (m->pages > 0) return HONE_OK;
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                     "%zu bytes for keys and values; %d tokens of this model need %zu", room->bytes,
                     HONE_LM_PAGE, m->form.page_bytes);
}

static hone_status prepare(hone_lm *m, hone_graph *g, const hone_lm_options *o, const hone_lm_room *room,
                           hone_error *err) {
    HONE_TRY(hone_check_options_size(o->size, sizeof *o, err));
    HONE_TRY(hone_lm_form_look(g, &m->form, err));
    HONE_TRY(choose_context(m, g, o, err));
    HONE_TRY(choose_pages(m, room, err));
    return hone_lm_form_make(g, m->pages, err);
}

hone_status hone_lm_make(hone_graph *g, const hone_lm_options *options, const hone_lm_room *room,
                         hone_lm **out, hone_error *err) {
    const hone_lm_options usual = HONE_LM_OPTIONS_INIT, *o = options ? options : &usual;
    hone_lm *m = hone_calloc(1, sizeof *m);
    hone_status status = m ? prepare(m, g, o, room, err) : hone_fail_memory(err);
    if (status == HONE_OK)
        status = compile(m, g, o, err);
    else
        hone_graph_free(g);
    if (status == HONE_OK)
        *out = m;
    else
        hone_lm_free(m);
    return status;
}

hone_status hone_lm_create(hone_graph *g, const hone_lm_options *options, hone_lm **out, hone_error *err) {
    return hone_lm_make(g, options, NULL, out, err);
}

void hone_lm_free(hone_lm *m) {
    if (!m) return;
    hone_session_free(m->session);
    hone_model_free(m->model);
    hone_free(m);
}

int64_t hone_lm_context(const hone_lm *m) {
    return m->context;
}

int64_t hone_lm_vocabulary(const hone_lm *m) {
    return m->form.vocabulary;
}

size_t hone_lm_bytes(const hone_lm *m) {
    return hone_model_bytes(m->model);
}

size_t hone_lm_sequence_bytes(const hone_lm *m) {
    return (size_t)m->pages * m->form.page_bytes;
}
