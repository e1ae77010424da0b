/* The peer of bench_lm.c: llama.cpp, the same numbers in the same form. lm.py compiles it.
 *
 *     lm_llama MODEL THREADS PROMPT TOKENS */
#include <llama.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void quiet(enum ggml_log_level level, const char *text, void *user) {
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    const int threads = atoi(argv[2]), prompt = atoi(argv[3]), tokens = atoi(argv[4]);
    double start = now(), prefill = 1e9, decode = 1e9;
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)(prompt + tokens + 8);
    p.n_batch = p.n_ubatch = 512;
    p.n_threads = p.n_threads_batch = threads;
    struct llama_context *c = model ? llama_init_from_model(model, p) : NULL;
    llama_token *ids = calloc((size_t)(prompt + tokens), sizeof *ids);
    if (!c || !ids) return 1;
    for (int i = 0; i < prompt + tokens; i++) ids[i] = i * 7919 % 40000 + 100;
    if (llama_decode(c, llama_batch_get_one(ids, 1))) return 1;
    const double load = now() - start;
    for (int round = 0; round < 3; round++) {
        llama_memory_clear(llama_get_memory(c), true);
        start = now();
        if (llama_decode(c, llama_batch_get_one(ids, prompt))) return 1;
        llama_synchronize(c);
        if (now() - start < prefill) prefill = now() - start;
        start = now();
        for (int i = 0; i < tokens; i++) {
            if (llama_decode(c, llama_batch_get_one(ids + prompt + i, 1))) return 1;
            llama_synchronize(c);
        }
        if (now() - start < decode) decode = now() - start;
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"load\": %.3f, \"prefill\": %.1f, \"decode\": %.1f, \"megabytes\": %.1f}\n", load,
           prompt / prefill, tokens / decode, (double)use.ru_maxrss / 1024);
    return 0;
}
