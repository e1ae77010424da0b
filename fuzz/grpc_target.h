/* What the fuzz targets of the gRPC front ends share besides. They define `methods` and add_services() before. */
static hone_grpc_table table;

static void handle(hone_front *f, hone_request *r) {
    static hone_front *fronts[1];
    if (!fronts[0]) {
        fronts[0] = f;
        if (!add_services(&table, fronts)) abort();
    }
    hone_grpc_dispatch(&table, 0, &f->packer, r);
}

static void check_message(const answer *a) {
    if (a->status != 200) abort();
    if (a->body.size == 0) return;
    hone_wire w = hone_wire_of(a->body.data + 5, a->body.size - 5);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
    }
    if (w.why) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    const uint8_t prefix[5] = {0, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                               (uint8_t)size};
    hone_buffer body = {0};
    hone_buffer_put(&body, prefix, sizeof prefix);
    hone_buffer_put(&body, data, size);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        answer a = ask(handle, "POST", slice(methods[i]), NULL, &body);
        check_message(&a);
        answer_free(&a);
    }
    hone_buffer_free(&body);
    return 0;
}
