#include "progress.h"

#include "task.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool drawn; /* a bar stands on the terminal's last line */

void cli_progress_clear(void) {
    if (drawn) fputs("\r\033[K", stderr);
    drawn = false;
}

static bool on_terminal(void) {
    static int known = -1;
    if (known < 0) known = isatty(STDERR_FILENO);
    return known;
}

static int64_t samples_so_far(const hone_train_progress *p) {
    return (int64_t)(p->epoch - 1) * p->epoch_samples + p->samples;
}

/* "61,234 samples/s  ETA 0:12"; "" as long as nothing can be said. */
static const char *speed_text(const cli_progress *w, const hone_train_progress *p) {
    int64_t done = samples_so_far(p) - w->first_samples;
    double seconds = p->seconds - w->first_seconds;
    if (done <= 0 || seconds <= 0) return "";
    double rate = (double)done / seconds;
    double left = (double)((int64_t)p->epochs * p->epoch_samples - samples_so_far(p)) / rate;
    if (left <= 0) return cli_text("%s samples/s", cli_count((int64_t)rate));
    return cli_text("%s samples/s  ETA %s", cli_count((int64_t)rate), cli_clock(left));
}

/* Of the terminal; a line that is longer would not be drawn over. */
static int columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* What fits: the words first, the bar in the room that they leave. */
static void draw_bar(cli_progress *w, const hone_train_progress *p) {
    enum { WIDEST = 24, NARROWEST = 4 };
    const char *left = cli_text("%sepoch %*d/%d", w->label, p->epochs > 9 ? 2 : 1, p->epoch, p->epochs);
    const char *right = cli_text("loss %.4f  %s %s  %s", p->recent_loss, cli_metric_name(&p->metric),
                                 cli_metric_value(&p->metric), speed_text(w, p));
    int room = columns() - 1 - (int)strlen(left) - (int)strlen(right) - (int)strlen(" [] ");
    int width = room > WIDEST ? WIDEST : room;
    int full = p->epoch_samples > 0 ? (int)(width * p->samples / p->epoch_samples) : width;
    char bar[WIDEST + 1] = "";
    if (width >= NARROWEST)
        memset(memset(bar, ' ', (size_t)width), '=', (size_t)(full > width ? width : full));
    const char *line = *bar ? cli_text("%s [%s] %s", left, bar, right) : cli_text("%s %s", left, right);
    fprintf(stderr, "\r%.*s\033[K", columns() - 1, line);
    drawn = true;
    cli_set_before_line(cli_progress_clear);
}

static void print_epoch(cli_progress *w, const hone_train_progress *p) {
    cli_progress_clear();
    const char *name = cli_metric_name(&p->metric);
    fprintf(stderr, "%sepoch %*d/%d  loss %.4f  %s %s", w->label, p->epochs > 9 ? 2 : 1, p->epoch, p->epochs,
            p->loss, name, cli_metric_value(&p->metric));
    if (isfinite(p->validation_metric)) {
        hone_metric m = p->metric;
        m.value = p->validation_metric;
        fprintf(stderr, "  validation loss %.4f  %s %s", p->validation_loss, name, cli_metric_value(&m));
    }
    fprintf(stderr, "  lr %-9.3g %s\n", p->learning_rate, speed_text(w, p));
}

void cli_progress_show(cli_progress *w, const hone_train_progress *p) {
    if (w->steps == 0) {
        if (p->step > 1)
            cli_note("going on after step %lld of %lld", (long long)p->step - 1, (long long)p->steps);
        w->first_step = p->step;
        w->first_samples = samples_so_far(p);
        w->first_seconds = p->seconds;
    }
    w->step = p->step;
    w->steps = p->steps;
    /* of hundreds of epochs, some 25 are told */
    int every = p->epochs > 30 ? (p->epochs + 24) / 25 : 1;
    if (p->epoch_done && (p->epoch == 1 || p->epoch == p->epochs || p->epoch % every == 0)) {
        print_epoch(w, p);
    } else if (on_terminal() && cli_seconds_now() - w->drawn_at > 0.1) {
        draw_bar(w, p);
        w->drawn_at = cli_seconds_now();
    }
}
