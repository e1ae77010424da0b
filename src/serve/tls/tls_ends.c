#include "serve/tls/tls_ends.h"

#include <openssl/bio.h>

static int give_input(BIO *bio, char *to, int room) {
    hone_tls_ends *e = BIO_get_data(bio);
    size_t n = e->size < (size_t)room ? e->size : (size_t)room;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, e->data, n);
    e->data += n;
    e->size -= n;
    return (int)n;
}

static int take_output(BIO *bio, const char *data, int size) {
    hone_tls_ends *e = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!e->out) return -1;
    hone_buffer_put(e->out, data, (size_t)size);
    return e->out->failed ? -1 : size;
}

static long control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *hone_tls_ends_method(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "hone");
    if (!m) return NULL;
    if (BIO_meth_set_read(m, give_input) == 1 && BIO_meth_set_write(m, take_output) == 1 &&
        BIO_meth_set_ctrl(m, control) == 1)
        return m;
    BIO_meth_free(m);
    return NULL;
}

BIO *hone_tls_ends_bio(const BIO_METHOD *method, hone_tls_ends *ends) {
    BIO *bio = BIO_new(method);
    if (!bio) return NULL;
    BIO_set_data(bio, ends);
    BIO_set_init(bio, 1);
    return bio;
}
