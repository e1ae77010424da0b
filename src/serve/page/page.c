#include "serve/page/page.h"

/* Made of the files beside this one. */
extern const unsigned char hone_page_html[], hone_page_css[], hone_page_js[];
extern const size_t hone_page_html_size, hone_page_css_size, hone_page_js_size;

bool hone_page_is_wanted(const hone_request *r) {
    hone_slice accept = hone_head_field(&r->head, "accept");
    return accept.data && memmem(accept.data, accept.size, "text/html", 9) != NULL;
}

bool hone_page_answer(hone_request *r) {
    const struct {
        const char *path, *type;
        const unsigned char *data;
        size_t size;
    } files[] = {{"/", "text/html; charset=utf-8", hone_page_html, hone_page_html_size},
                 {"/page.css", "text/css; charset=utf-8", hone_page_css, hone_page_css_size},
                 {"/page.js", "text/javascript; charset=utf-8", hone_page_js, hone_page_js_size}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!hone_slice_equal(r->head.path, files[i].path)) continue;
        r->method = HONE_METHOD_HEALTH;
        /* Scripts and styles are the server's own, and nobody may put the page into another one. */
        hone_request_field(
            r, "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        hone_request_field(r, "x-content-type-options", "nosniff");
        hone_request_field(r, "referrer-policy", "no-referrer");
        hone_request_field(r, "cache-control", "no-cache");
        hone_request_field(r, "vary", "accept");
        hone_request_answer(r, 200, files[i].type, files[i].data, files[i].size);
        return true;
    }
    return false;
}
