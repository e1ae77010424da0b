#include "optimize.h"

#include "files.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- for people --- */

static const char *size_text(const cli_search *s, const cli_point *p) {
    return cli_text("× %.3f", (double)p->bytes / (double)s->points[0].bytes);
}

void cli_search_print(const cli_search *s, int chosen) {
    cli_table *t = cli_table_new("llrrrrrrrr");
    cli_table_row(t, "", "", cli_text("validation %s", s->metric), "test", "file, bytes", "", "multiply-adds",
                  "ms, 1 thread", "2 threads", "energy", NULL);
    for (int i = 0; i < s->count; i++) {
        const cli_point *p = &s->points[i];
        if (!p->there) continue;
        cli_table_row(t, p->recipe->name,
                      i == chosen ? "taken"
                      : p->best   ? "best"
                                  : "",
                      cli_quality_text(s, p->quality), isfinite(p->test) ? cli_quality_text(s, p->test) : "",
                      cli_count(p->bytes), size_text(s, p), cli_count(p->multiply_adds),
                      cli_text("%.3g", p->ms[0]), cli_text("%.3g", p->ms[1]), cli_joules_text(p->joules),
                      NULL);
    }
    cli_table_print(t, stdout);
    cli_table_free(t);
    printf("energy: of a sample, one thread, %s\n", cli_energy_source(&s->energy));
    for (int i = 0; i < s->count; i++)
        if (!s->points[i].there && s->points[i].why[0])
            printf("not made: %s: %s\n", s->points[i].recipe->name, s->points[i].why);
}

/* --- for machines --- */

json_t *cli_search_json(const cli_search *s, int chosen) {
    json_t *points = json_array();
    for (int i = 0; i < s->count; i++) {
        const cli_point *p = &s->points[i];
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(p->recipe->name));
        json_object_set_new(o, "command", cli_json_text(cli_point_command(s, i)));
        if (p->there) {
            json_object_set_new(o, "file", cli_json_text(p->path));
            json_object_set_new(o, s->metric, cli_json_number(s->share ? p->quality : -p->quality));
            json_object_set_new(o, "test", cli_json_number(s->share ? p->test : -p->test));
            json_object_set_new(o, "file_bytes", json_integer((json_int_t)p->bytes));
            json_object_set_new(o, "multiply_adds", json_integer((json_int_t)p->multiply_adds));
            json_object_set_new(o, "ms_1_thread", cli_json_number(p->ms[0]));
            json_object_set_new(o, "ms_2_threads", cli_json_number(p->ms[1]));
            json_object_set_new(o, "joules", cli_json_number(p->joules));
            json_object_set_new(o, "seconds", cli_json_number(p->seconds));
            json_object_set_new(o, "best", json_boolean(p->best));
        } else {
            json_object_set_new(o, "not_made", cli_json_text(p->why));
        }
        json_array_append_new(points, o);
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:s}", "model", cli_json_text(s->model), "metric",
                     s->metric ? s->metric : "", "points", points, "taken",
                     chosen >= 0 ? json_string(s->points[chosen].recipe->name) : json_null(), "sensitivity",
                     cli_layers_json(&s->layers), "energy_source",
                     s->energy.reading.source ? s->energy.reading.source : "");
}

/* --- as a page --- */

/* Text that grows. */
typedef struct page {
    FILE *to;
    char *text;
    size_t size;
} page;

static void put_text(page *p, const char *text) {
    for (; *text; text++) {
        const char *as = *text == '<'   ? "&lt;"
                         : *text == '>' ? "&gt;"
                         : *text == '&' ? "&amp;"
                         : *text == '"' ? "&quot;"
                                        : NULL;
        if (as)
            fputs(as, p->to);
        else
            putc(*text, p->to);
    }
}

static const char style[] =
    "<style>:root{color-scheme:light dark;--ink:#222;--dim:#777;--line:#ccc;--best:#0a6b4f;--other:#999}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ddd;--dim:#999;--line:#444;--best:#4cc49a;--other:#777}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);max-width:64em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2em "
    ".7em;text-align:right;border-bottom:1px "
    "solid var(--line)}th:first-child,td:first-child{text-align:left}tr.best "
    "td{font-weight:600}code{font-size:13px}"
    "svg{max-width:100%;height:auto}svg text{fill:var(--ink);font-size:12px}.axis{stroke:var(--line)}.best "
    "circle{fill:var(--best)}"
    ".other circle{fill:var(--other)}</style>";

enum { WIDTH = 620, HEIGHT = 320, LEFT = 70, RIGHT = 90, TOP = 16, BOTTOM = 44 };

static double x_of(const cli_point *p, int what) {
    return log10(what ? p->ms[0] : (double)p->bytes);
}

static double at(double x, double low, double high, double from, double to) {
    return from + (high > low ? (x - low) / (high - low) : 0.5) * (to - from);
}

/* Quality over bytes (what 0) or milliseconds, to a logarithmic scale. */
static void put_plot(const cli_search *s, page *out, int what, const char *title) {
    double left = INFINITY, right = -INFINITY, low = INFINITY, high = -INFINITY;
    for (int i = 0; i < s->count; i++) {
        if (!s->points[i].there) continue;
        left = fmin(left, x_of(&s->points[i], what));
        right = fmax(right, x_of(&s->points[i], what));
        low = fmin(low, s->points[i].quality);
        high = fmax(high, s->points[i].quality);
    }
    fprintf(out->to, "<h2>%s</h2><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">", title, WIDTH,
            HEIGHT, title);
    fprintf(out->to, "<path class=\"axis\" fill=\"none\" d=\"M%d %dV%dH%d\"/>", LEFT, TOP, HEIGHT - BOTTOM,
            WIDTH - RIGHT);
    fprintf(out->to, "<text x=\"4\" y=\"%d\">%s</text><text x=\"4\" y=\"%d\">%s</text>", TOP + 8,
            cli_quality_text(s, high), HEIGHT - BOTTOM, cli_quality_text(s, low));
    for (int e = 0; e < 2; e++) {
        const double x = pow(10, e ? right : left);
        fprintf(out->to, "<text x=\"%d\" y=\"%d\">%s</text>", e ? WIDTH - RIGHT - 30 : LEFT,
                HEIGHT - BOTTOM + 18,
                what ? cli_text("%.3g ms", x) : cli_text("%s bytes", cli_count((int64_t)llround(x))));
    }
    for (int i = 0; i < s->count; i++) {
        const cli_point *p = &s->points[i];
        if (!p->there) continue;
        const double x = at(x_of(p, what), left, right, LEFT + 8, WIDTH - RIGHT - 8),
                     y = at(p->quality, low, high, HEIGHT - BOTTOM - 8, TOP + 8);
        fprintf(out->to, "<g class=\"%s\"><circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
                p->best ? "best" : "other", x, y);
        if (p->best) fprintf(out->to, "<text x=\"%.1f\" y=\"%.1f\">%s</text>", x + 7, y + 4, p->recipe->name);
        fputs("</g>", out->to);
    }
    fputs("</svg>\n", out->to);
}

static void put_rows(const cli_search *s, page *out, int chosen) {
    fprintf(out->to,
            "<table><tr><th>model<th>validation %s<th>test<th>bytes<th>size<th>multiply-adds<th>ms, 1 "
            "thread<th>2 threads<th>energy</tr>\n",
            s->metric);
    for (int i = 0; i < s->count; i++) {
        const cli_point *p = &s->points[i];
        if (!p->there) continue;
        fprintf(out->to,
                "<tr class=\"%s\"><td>%s%s<td>%s<td>%s<td>%s<td>%s<td>%s<td>%.3g<td>%.3g<td>%s</tr>\n",
                p->best ? "best" : "other", p->recipe->name, i == chosen ? " (taken)" : "",
                cli_quality_text(s, p->quality), isfinite(p->test) ? cli_quality_text(s, p->test) : "–",
                cli_count(p->bytes), size_text(s, p), cli_count(p->multiply_adds), p->ms[0], p->ms[1],
                cli_joules_text(p->joules));
    }
    fputs("</table>\n<p>In bold: no other model is as good, as small and as fast.</p>\n", out->to);
}

/* Which weights bear rounding least. */
static void put_layers(const cli_search *s, page *out) {
    if (!s->layers.count) return;
    fputs("<h2>What each weight costs</h2><p>The output is off by that much if it alone is kept in 4 "
          "bits.</p>\n"
          "<table><tr><th>weight<th>numbers<th>off by</tr>\n",
          out->to);
    for (int i = 0; i < s->layers.count; i++) {
        fputs("<tr><td>", out->to);
        put_text(out, s->layers.items[i].weight);
        fprintf(out->to, "<td>%s<td>%.3g %%</tr>\n", cli_count(s->layers.items[i].numbers),
                100 * s->layers.items[i].error);
    }
    fputs("</table>\n", out->to);
}

static void put_commands(const cli_search *s, page *out) {
    fputs("<h2>How each is made</h2><p>Samples for validation were left out of training.</p><ul>\n", out->to);
    for (int i = 1; i < s->count; i++) {
        const cli_point *p = &s->points[i];
        fprintf(out->to, "<li>%s: ", p->recipe->name);
        if (p->there) {
            fputs("<code>", out->to);
            put_text(out, cli_point_command(s, i));
            fputs("</code>", out->to);
        } else {
            fputs("not made: ", out->to);
            put_text(out, p->why[0] ? p->why : "no time was left");
        }
        fputs("\n", out->to);
    }
    fputs("</ul>\n", out->to);
}

hone_status cli_search_html(const cli_search *s, int chosen, const char *path, hone_error *err) {
    page out = {NULL};
    out.to = open_memstream(&out.text, &out.size);
    if (!out.to) {
        *err = (hone_error){.code = HONE_OUT_OF_MEMORY, .message = "out of memory"};
        return HONE_OUT_OF_MEMORY;
    }
    fputs(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Smaller forms of a model</title>",
        out.to);
    fputs(style, out.to);
    fputs("<h1>Smaller forms of ", out.to);
    put_text(&out, s->model);
    fputs("</h1>\n", out.to);
    put_rows(s, &out, chosen);
    put_plot(s, &out, 0, "Quality and size");
    put_plot(s, &out, 1, "Quality and time");
    put_layers(s, &out);
    put_commands(s, &out);
    fputs("</html>\n", out.to);
    fclose(out.to);
    hone_status status = cli_write_text(path, out.text, err);
    free(out.text);
    return status;
}
