/* Predicts the class of one sample: predict MODEL.onnx SAMPLE.npy */
#include <hone/data.h>
#include <hone/session.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    hone_error err = {0};
    hone_graph *graph = NULL;
    hone_model *model = NULL;
    hone_session *session = NULL;
    hone_context *context = NULL;
    hone_tensor *x = NULL;
    const hone_tensor *logits = NULL;
    int status = argc != 3 || hone_graph_load(argv[1], &graph, &err) || hone_npy_load(argv[2], &x, &err) ||
                 hone_model_compile(graph, NULL, &model, &err) ||
                 hone_session_create(model, NULL, &session, &err) ||
                 hone_context_create(session, &context, &err) ||
                 hone_context_run(context, (const hone_tensor *[]){x}, &logits, &err);
    if (status == 0) {
        const float *score = hone_tensor_data(logits);
        int64_t best = 0, classes = hone_tensor_dims(logits)[hone_tensor_rank(logits) - 1];
        for (int64_t i = 1; i < classes; i++)
            if (score[i] > score[best]) best = i;
        const char *name = hone_graph_metadata(graph, "hone.classes"); /* one a line */
        for (int64_t i = 0; name && i < best; i++) name = strchr(name, '\n') ? strchr(name, '\n') + 1 : "";
        printf("%lld %.*s\n", (long long)best, name ? (int)strcspn(name, "\n") : 0, name ? name : "");
    } else {
        char text[1024];
        fprintf(stderr, "%s\n",
                err.code ? hone_error_format(&err, text, sizeof text) : "usage: predict MODEL.onnx SAMPLE.npy");
    }
    hone_context_free(context);
    hone_session_free(session);
    hone_model_free(model);
    hone_tensor_free(x);
    hone_graph_free(graph);
    return status != 0;
}
