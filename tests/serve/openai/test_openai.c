#include "serve/servers.h"

#include "serve/languages.h"
#include "serve/repo.h"

#define CHAT "/v1/chat/completions"
#define COMPLETE "/v1/completions"

static fixture server;

static int setup(void **state) {
    (void)state;
    char letters[600], embed[600], other[600];
    repo_make();
    snprintf(letters, sizeof letters, "letters=%s", repo_path("letters"));
    snprintf(embed, sizeof embed, "embed=%s", repo_path("embed"));
    snprintf(other, sizeof other, "other=%s", repo_path("other"));
    language_save(repo_path("letters"), LANGUAGE_TEMPLATE);
    embedding_save(repo_path("embed"), "input_ids");
    embedding_save(repo_path("other"), "numbers");
    hone_server_options o = small_options();
    o.max_body_bytes = 8 << 20;
    o.models = (const char *const[]){letters, embed, other};
    o.model_count = 3;
    start(&server, &o);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    stop(&server);
    repo_remove();
    return 0;
}

static reply ask(const char *path, const char *body) {
    client c = client_open(server.port);
    reply r = client_ask(&c, "POST", path, body);
    client_close(&c);
    return r;
}

static reply get(const char *path) {
    client c = client_open(server.port);
    reply r = client_ask(&c, "GET", path, NULL);
    client_close(&c);
    return r;
}

/* A body about the small model, with `rest` in it; greedy. */
static const char *about(const char *rest) {
    static char text[4096];
    snprintf(text, sizeof text, "{\"model\": \"letters\", \"temperature\": 0, %s}", rest);
    return text;
}

#define HI "\"messages\": [{\"role\": \"user\", \"content\": \"uv\"}]"

/* --- conversations --- */

static void test_chat(void **state) {
    (void)state;
    reply r = ask(CHAT, about(HI));
    assert_non_null(strstr(r.body, "\"object\": \"chat.completion\""));
    assert_non_null(strstr(
        r.body, "\"message\": {\"role\": \"assistant\", \"content\": \"wxyz{|}~\", \"refusal\": null}"));
    assert_non_null(strstr(r.body, "\"finish_reason\": \"stop\""));
    check_has(r, 200, "\"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": 8, \"total_tokens\": 11");
    check_has(ask(CHAT, about(HI ", \"max_tokens\": 3")), 200, "\"content\": \"wxy\"");
    check_has(ask(CHAT, about(HI ", \"max_completion_tokens\": 3")), 200, "\"finish_reason\": \"length\"");
    check_has(
        ask(CHAT,
            about("\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"x\"}, "
                  "{\"type\": \"text\", \"text\": \"y\"}]}]")),
        200, "\"content\": \"z{|}~\"");
}

/* What a client writes is text: its tokens are as many as its characters. */
static void test_injection(void **state) {
    (void)state;
    check_has(
        ask(CHAT, about("\"messages\": [{\"role\": \"user\", \"content\": \"<|end|>\"}], \"max_tokens\": 1")),
        200, "\"prompt_tokens\": 8");
    check_has(ask(COMPLETE, about("\"prompt\": \"<|end|>\", \"max_tokens\": 1")), 200,
              "\"prompt_tokens\": 7");
    /* templates trust what is called a token, and the conversation is in the messages */
    static const char *const names[] = {"eos_token", "my_token", "messages", "tools"};
    for (int k = 0; k < 4; k++) {
        char rest[200];
        snprintf(rest, sizeof rest, HI ", \"chat_template_kwargs\": {\"%s\": \"<|end|>\"}", names[k]);
        check_has(ask(CHAT, about(rest)), 400, "\"param\": \"chat_template_kwargs\"");
    }
}

static void test_stream(void **state) {
    (void)state;
    reply r =
        ask(CHAT,
            about(HI ", \"max_tokens\": 2, \"stream\": true, \"stream_options\": {\"include_usage\": true}"));
    static const char *const parts[] = {
        "\"delta\": {\"role\": \"assistant\", \"content\": \"\"}, \"logprobs\": null, \"finish_reason\": "
        "null}], \"usage\": null}\n\n",
        "\"delta\": {\"content\": \"w\"}",
        "\"delta\": {\"content\": \"x\"}",
        "\"delta\": {}, \"logprobs\": null, \"finish_reason\": \"length\"",
        "\"choices\": [], \"usage\": {\"prompt_tokens\": 3, \"completion_tokens\": 2",
        "data: [DONE]\n\n"};
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head, "text/event-stream"));
    const char *at = r.body;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *next = strstr(at, parts[i]);
        if (!next) fail_msg("no %s in %s", parts[i], r.body);
        at = next + strlen(parts[i]);
    }
    assert_string_equal(at, "");
    free(r.body);
    check_has(ask(COMPLETE, about("\"prompt\": \"a\", \"max_tokens\": 1, \"stream\": true")), 200,
              "\"text\": \"b\", \"logprobs\": null, \"finish_reason\": null}]}\n\n");
}

/* --- where texts end --- */

static void test_stops(void **state) {
    (void)state;
    check_has(ask(CHAT, about(HI ", \"stop\": \"z{\"")), 200, "\"content\": \"wxy\"");
    check_has(ask(CHAT, about(HI ", \"stop\": [\"nothing\", \"y\"]")), 200, "\"content\": \"wx\"");
    check_has(ask(CHAT, about(HI ", \"stop\": [\"{!\"]")), 200, "\"content\": \"wxyz{|}~\"");
    check_has(ask(CHAT, about(HI ", \"stop_token_ids\": [93]")), 200, "\"content\": \"wxyz\"");
    check_has(ask(CHAT, about(HI ", \"ignore_eos\": true, \"max_tokens\": 9")), 200,
              "\"completion_tokens\": 9");
    /* what may become a stop string is held back, and what is cut off is in no event */
    reply r = ask(CHAT, about(HI ", \"stop\": \"xyz\", \"stream\": true, \"logprobs\": true"));
    assert_null(strstr(r.body, "\"token\": \"x\""));
    check_has(r, 200, "\"delta\": {\"content\": \"w\"}");
}

/* --- completions --- */

static void test_completions(void **state) {
    (void)state;
    reply r = ask(COMPLETE, about("\"prompt\": [\"a\", \"x\"], \"max_tokens\": 2, \"n\": 2"));
    static const char *const texts[] = {"\"index\": 0, \"text\": \"bc\"", "\"index\": 1, \"text\": \"bc\"",
                                        "\"index\": 2, \"text\": \"yz\"", "\"index\": 3, \"text\": \"yz\""};
    for (int i = 0; i < 4; i++)
        if (!strstr(r.body, texts[i])) fail_msg("no %s in %s", texts[i], r.body);
    check_has(r, 200, "\"prompt_tokens\": 2, \"completion_tokens\": 8");
    check_has(ask(COMPLETE, about("\"prompt\": [67, 68], \"max_tokens\": 2")), 200, "\"text\": \"cd\"");
    check_has(ask(COMPLETE, about("\"prompt\": [[67], [68]], \"max_tokens\": 1")), 200,
              "\"index\": 1, \"text\": \"c\"");
    check_has(ask(COMPLETE, about("\"prompt\": \"ab\", \"max_tokens\": 0, \"echo\": true")), 200,
              "\"text\": \"ab\"");
    check_has(
        ask(COMPLETE, about("\"prompt\": \"ab\", \"max_tokens\": 1, \"echo\": true, \"logprobs\": 1")), 200,
        "\"text\": \"abc\", \"logprobs\": {\"tokens\": [\"a\", \"b\", \"c\"], \"token_logprobs\": [null, ");
    check_has(ask(COMPLETE, about("\"prompt\": \"ab\", \"max_tokens\": 1, \"echo\": true, \"logprobs\": 1")),
              200, "\"text_offset\": [0, 1, 2]}");
    check_has(ask(COMPLETE, about("\"prompt\": \"a\", \"max_tokens\": 1, \"best_of\": 3")), 200,
              "\"completion_tokens\": 3");
}

static void test_scores(void **state) {
    (void)state;
    reply r = ask(CHAT, about(HI ", \"max_tokens\": 1, \"logprobs\": true, \"top_logprobs\": 2"));
    const char *token = strstr(r.body, "\"logprobs\": {\"content\": [{\"token\": \"w\", \"logprob\": -");
    assert_non_null(token);
    assert_non_null(strstr(token, "\"bytes\": [119], \"top_logprobs\": [{\"token\": \"w\""));
    check_has(r, 200, "], \"refusal\": null}");
    check_has(ask(CHAT, about(HI ", \"max_tokens\": 1, \"logit_bias\": {\"0\": 100}, \"logprobs\": true")),
              200, "\"content\": \"\"");
}

/* Drawn tokens depend on the seed alone; other answers to the same prompt are drawn apart. */
static void test_seeds(void **state) {
    (void)state;
    static const char body[] =
        "{\"model\": \"letters\", \"temperature\": 2, \"seed\": 5, \"n\": 2, \"max_tokens\": 12, "
        "\"prompt\": \"a\"}";
    reply a = ask(COMPLETE, body), b = ask(COMPLETE, body);
    const char *x = strstr(a.body, "\"choices\""), *y = strstr(b.body, "\"choices\"");
    assert_non_null(x);
    assert_string_equal(x, y);
    const char *first = strstr(x, "\"text\": "), *second = strstr(first + 1, "\"text\": ");
    assert_true(memcmp(first, second, 20) != 0);
    free(a.body);
    free(b.body);
    /* the lower the temperature, the likelier the likeliest */
    static const char *const low[] = {"1e-37", "1e-40", "1e-320"};
    for (int i = 0; i < 3; i++) {
        char cold[200];
        snprintf(cold, sizeof cold,
                 "{\"model\": \"letters\", \"temperature\": %s, \"max_tokens\": 8, " HI "}", low[i]);
        check_has(ask(CHAT, cold), 200, "\"content\": \"wxyz{|}~\"");
    }
}

/* --- answers of a form --- */

static void test_schemas(void **state) {
    (void)state;
    check_has(
        ask(CHAT,
            about(HI ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", "
                     "\"schema\": {\"enum\": [\"ok\"]}}}")),
        200, "\"content\": \"\\\"ok\\\"\"");
    check_has(
        ask(CHAT,
            about(HI ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", "
                     "\"schema\": {\"properties\": {\"a\": {\"type\": \"string\", \"pattern\": \"b\"}}}}}")),
        400, "/properties/a/pattern");
    check_has(ask(CHAT, about(HI ", \"response_format\": {\"type\": \"json_object\"}, \"max_tokens\": 1")),
              200, "\"content\": \"{\"");
}

/* --- tools --- */

#define TOOL                                                                                                 \
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"type\": "       \
    "\"object\", "                                                                                           \
    "\"properties\": {\"a\": {\"$ref\": \"#/$defs/one\"}}, \"required\": [\"a\"], \"$defs\": {\"one\": "     \
    "{\"enum\": "                                                                                            \
    "[1]}}}}}]"

static void test_tools(void **state) {
    (void)state;
    static const char call[] =
        "\"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": \"{\\\"a\\\":1}\"}}]";
    reply r = ask(CHAT, about(HI ", " TOOL ", \"tool_choice\": \"required\""));
    if (!strstr(r.body, "\"content\": null")) fail_msg("%s", r.body);
    assert_non_null(strstr(r.body, "\"finish_reason\": \"tool_calls\""));
    check_has(r, 200, call);
    r = ask(CHAT,
            about(HI ", " TOOL ", \"stream\": true, \"tool_choice\": {\"type\": \"function\", \"function\": "
                     "{\"name\": \"f\"}}"));
    const char *first = strstr(r.body, "\"name\": \"f\", \"arguments\": \"\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"name\": \"f\"")); /* clients put the parts together */
    check_has(r, 200, "\"delta\": {\"tool_calls\": [{\"index\": 0, \"function\": {\"arguments\": \"");
    check_has(ask(CHAT, about(HI ", \"tool_choice\": \"required\"")), 400, "\"param\": \"tool_choice\"");
    /* what is listed is data, whatever it looks like; a schema that says nothing is of no arguments */
    check_has(
        ask(CHAT, about(HI ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", "
                           "\"parameters\": {\"properties\": {\"const\": {\"const\": {\"$ref\": \"#/a\"}}}, "
                           "\"required\": [\"const\"]}}}], \"tool_choice\": \"required\"")),
        200, "\"arguments\": \"{\\\"const\\\":{\\\"$ref\\\":\\\"#/a\\\"}}\"");
    check_has(ask(CHAT, about(HI ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", "
                                 "\"parameters\": {}}}], \"tool_choice\": \"required\"")),
              200, "\"arguments\": \"{}\"");
}

/* --- embeddings --- */

/* The vector of a text whose ids have that mean. */
static void has_vector(const char *at, double mean) {
    double length = sqrt(1 + mean * mean), x, y;
    at = strstr(at, "\"embedding\": [");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"embedding\": [%lf, %lf]", &x, &y), 2);
    assert_true(fabs(x - 1 / length) < 1e-6 && fabs(y - mean / length) < 1e-6);
}

static void test_embeddings(void **state) {
    (void)state;
    reply r = ask("/v1/embeddings", "{\"model\": \"embed\", \"input\": [\"ab\", \"<|end|>\"]}");
    assert_non_null(r.body);
    has_vector(r.body, 67.5);
    has_vector(strstr(r.body, "\"index\": 1"), (30 + 94 + 71 + 80 + 70 + 94 + 32) / 7.0);
    check_has(r, 200, "\"model\": \"embed\", \"usage\": {\"prompt_tokens\": 9, \"total_tokens\": 9}}");
    r = ask("/v1/embeddings", "{\"model\": \"embed\", \"input\": [67, 68]}");
    has_vector(r.body, 67.5);
    free(r.body);
    check_has(ask("/v1/embeddings",
                  "{\"model\": \"embed\", \"input\": [[1], [0]], \"encoding_format\": \"base64\"}"),
              200, "\"index\": 1, \"embedding\": \"AACAPwAAAAA=\""); /* 1, 0 */
    check_has(ask("/v1/embeddings", "{\"model\": \"letters\", \"input\": \"a\"}"), 400,
              "makes texts, and no embeddings");
    check_has(ask("/v1/embeddings", "{\"model\": \"other\", \"input\": \"a\"}"), 400, "makes no embeddings");
    check_has(ask("/v1/embeddings", "{\"model\": \"embed\", \"input\": [[1], [1000]]}"), 400,
              "\"param\": \"input\"");
    check_has(ask("/v1/embeddings", "{\"model\": \"embed\", \"input\": \"\"}"), 400, "\"param\": \"input\"");
    check_has(ask("/v1/embeddings", "{\"model\": \"embed\", \"input\": \"a\", \"encoding_format\": \"hex\"}"),
              400, "\"param\": \"encoding_format\"");
    check_has(ask("/v1/models/embed:predict", "{\"instances\": [[3]]}"), 200, "[1.0, 3.0]");
}

/* --- models --- */

static void test_models(void **state) {
    (void)state;
    reply r = get("/v1/models");
    assert_null(strstr(r.body, "matrix")); /* which has nothing to do with texts */
    assert_null(strstr(r.body, "other"));
    assert_non_null(
        strstr(r.body, "{\"object\": \"list\", \"data\": [{\"id\": \"embed\", \"object\": \"model\""));
    check_has(r, 200, "{\"id\": \"letters\", \"object\": \"model\"");
    r = get("/v1/models/letters");
    assert_non_null(strstr(r.body, "\"id\": \"letters\""));
    check_has(r, 200, "\"state\": \"AVAILABLE\"");
    r = get("/v1/models/matrix");
    assert_null(strstr(r.body, "\"id\""));
    check_has(r, 200, "\"state\": \"AVAILABLE\"");
    check_has(ask("/v1/models/letters:predict", "{\"instances\": [1]}"), 400, "is a language model");
    check_has(get("/v1/models/letters/metadata"), 200, "signature_def");
    check(ask(MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
}

/* --- what is wrong --- */

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *rest, *param;
    } bad[] = {
        {HI ", \"temperature\": 3", "temperature"},
        {HI ", \"top_p\": \"x\"", "top_p"},
        {HI ", \"n\": 0", "n"},
        {HI ", \"stop\": [\"a\", \"b\", \"c\", \"d\", \"e\"]", "stop"},
        {HI ", \"max_tokens\": 0", "max_tokens"},
        {HI ", \"stream\": 1", "stream"},
        {HI ", \"stream_options\": {}", "stream_options"},
        {HI ", \"top_logprobs\": 2", "top_logprobs"},
        {HI ", \"top_logprobs\": 21, \"logprobs\": true", "top_logprobs"},
        {HI ", \"logit_bias\": {\"x\": 1}", "logit_bias"},
        {HI ", \"response_format\": {\"type\": \"xml\"}", "response_format.type"},
        {HI ", \"tools\": [1]", "tools[0]"},
        {HI ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": "
            "{\"type\": \"string\"}}}]",
         "tools[0]"},
        {HI ", " TOOL ", \"tool_choice\": {\"type\": \"x\", \"function\": {\"name\": \"f\"}}", "tool_choice"},
        {HI ", \"max_completion_tokens\": 0", "max_completion_tokens"},
        {HI ", \"logit_bias\": {\"5000\": 1}", "logit_bias"},
        {HI ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": "
            "{\"minItems\": 1000, \"items\": {\"minItems\": 1000}}}}",
         "response_format.json_schema.schema"},
        {"\"messages\": [{\"role\": \"user\", \"content\": null}]", "messages[0]"},
        {"\"messages\": []", "messages"},
        {"\"messages\": [1]", "messages[0]"},
        {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]",
         "messages[0].content[0]"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char param[100];
        snprintf(param, sizeof param, "\"type\": \"invalid_request_error\", \"param\": \"%s\"", bad[i].param);
        check_has(ask(CHAT, about(bad[i].rest)), 400, param);
    }
    check_has(ask(CHAT, "{"), 400, "The body is no JSON");
    check_has(ask(CHAT, "{\"model\": \"x\", " HI "}"), 404, "\"code\": \"model_not_found\"");
    check_has(ask(CHAT, "{\"model\": \"matrix\", " HI "}"), 400, "makes no texts");
    check_has(ask(COMPLETE, about("\"prompt\": \"a\", \"suffix\": \"b\"")), 400, "\"param\": \"suffix\"");
    check_has(ask(COMPLETE, about("\"prompt\": [1, \"a\"]")), 400, "\"param\": \"prompt\"");
    check_has(ask(COMPLETE, about("\"prompt\": [5000]")), 400, "\"param\": \"prompt\"");
    check_has(ask(COMPLETE, about("\"prompt\": 5")), 400, "must be a string or an array");
    check_has(ask(CHAT, "{\"model\": \"a\\u0000\"}"), 400, "no text may have \\\\u0000 in it");
    check_has(ask(COMPLETE, about("\"prompt\": \"a\", \"max_tokens\": 100000")), 400,
              "\"code\": \"context_length_exceeded\"");
    check_has(ask(COMPLETE, about("\"prompt\": \"a\", \"unknown\": {\"x\": []}")), 200, "\"text\"");
    /* what is too long is too long, however much memory there is */
    client longer = client_open(server.port);
    assert_true(client_text(&longer, "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"));
    check_has(client_reply(&longer, false), 413, "\"type\": \"invalid_request_error\"");
    client_close(&longer);
    client packed = client_open(server.port);
    assert_true(client_text(
        &packed, "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"));
    check_has(client_reply(&packed, false), 415, "Content-Encoding");
    client_close(&packed);
    check_has(get(CHAT), 405, "\"error\": {\"message\"");
    /* the form of this API's errors is none of others' */
    client c = client_open(server.port);
    check_has(client_ask(&c, "POST", CHAT, "{"), 400, "\"error\": {");
    check_has(client_ask(&c, "POST", MATRIX, "{"), 400, "\"error\": \"");
    client_close(&c);
}

/* Texts whose client has gone are given up: the server can stop at once. */
static void test_leaving(void **state) {
    (void)state;
    client c = client_open(server.port);
    assert_true(send_post(&c, CHAT, about(HI ", \"ignore_eos\": true, \"stream\": true")));
    assert_true(client_more(&c, CLIENT_WAIT_MS) > 0);
    client_close(&c);
    check_has(ask(CHAT, about(HI)), 200, "wxyz");
}

static void test_metrics(void **state) {
    (void)state;
    static const char *const series[] = {"hone_lm_tokens_total{model=\"letters\",kind=\"generated\"}",
                                         "hone_lm_finished_total{model=\"letters\",reason=\"length\"}",
                                         "hone_lm_time_to_first_token_seconds_count{model=\"letters\"}",
                                         "hone_lm_inter_token_seconds_count{model=\"letters\"}"};
    static const double more[] = {6, 2, 2, 4};
    double before[4];
    wait_for(server.port, "hone_lm_sequences{model=\"letters\",state=\"running\"}",
             0); /* the test before has left */
    for (int i = 0; i < 4; i++) before[i] = metric(server.port, series[i]);
    check_has(ask(CHAT, about(HI ", \"n\": 2, \"max_tokens\": 3")), 200, "wxy");
    for (int i = 0; i < 4; i++) wait_for(server.port, series[i], before[i] + more[i]);
    wait_for(server.port, "hone_lm_sequences{model=\"letters\",state=\"running\"}", 0);
    assert_true(metric(server.port, "hone_lm_step_seconds_count{model=\"letters\"}") >= 3);
}

/* Texts wait while their client does not read, and go on when it does. */
static void test_slow_client(void **state) {
    (void)state;
    static const char paused[] = "hone_lm_sequences{model=\"letters\",state=\"paused\"}";
    client c = client_open(server.port);
    assert_true(send_post(&c, CHAT,
                          about(HI ", \"n\": 24, \"ignore_eos\": true, \"stream\": true, \"logprobs\": true, "
                                   "\"top_logprobs\": 20")));
    for (int i = 0; metric(server.port, paused) < 1; i++, usleep(5000)) assert_true(i < CLIENT_WAIT_MS / 5);
    check_has(ask(COMPLETE, about("\"prompt\": \"a\", \"max_tokens\": 1")), 200, "\"text\": \"b\"");
    reply r = client_reply(&c, false);
    int ends = 0;
    for (const char *at = r.body; (at = strstr(at, "\"finish_reason\": \"length\"")); at++) ends++;
    assert_int_equal(ends, 24);
    check_has(r, 200, "data: [DONE]\n\n");
    client_close(&c);
    wait_for(server.port, paused, 0);
}

/* Who finds no room is told so at once, and when to come again. */
static void test_full(void **state) {
    (void)state;
    fixture f;
    char models[600];
    hone_server_options o = small_options();
    snprintf(models, sizeof models, "letters=%s", repo_path("letters"));
    o.models = (const char *const[]){models};
    o.model_count = 1;
    o.lm_queue = o.lm_running = 1;
    o.body_budget_bytes = 4 << 20;
    start(&f, &o);
    client c = client_open(f.port);
    reply r = client_ask(&c, "POST", CHAT, about(HI ", \"n\": 16, \"ignore_eos\": true"));
    assert_int_equal(r.status, 429);
    assert_non_null(strstr(r.head, "retry-after: ") ? r.head : strstr(r.head, "Retry-After: "));
    check_has(r, 429, "\"code\": \"rate_limit_exceeded\"");
    check_has(client_ask(&c, "POST", CHAT, about(HI)), 200, "wxyz");
    /* what never finds room is the client's to change */
    check_has(
        client_ask(&c, "POST", CHAT, about(HI ", \"n\": 128, \"logprobs\": true, \"top_logprobs\": 20")), 400,
        "\"param\": \"max_tokens\"");
    client_close(&c);
    stop(&f);
}

/* While a text waits for its turn its stream is kept alive by comments, up to the time that an answer may take to begin. */
static void test_silence(void **state) {
    (void)state;
    static const char *const ends[] = {"\"delta\": {\"content\": \"w\"}",
                                       "data: {\"error\": {\"message\": \"The request took longer"};
    for (int late = 0; late < 2; late++) {
        fixture f;
        char models[600], field[64] = "";
        hone_server_options o = small_options();
        snprintf(models, sizeof models, "letters=%s", repo_path("letters"));
        o.models = (const char *const[]){models};
        o.model_count = 1;
        o.lm_running = 1;
        o.lm_queue = 1000;
        o.keep_alive_ms = 5;
        start(&f, &o);
        client busy[5], c = client_open(f.port);
        const int others = late ? 5 : 1; /* what they ask for is given up when they leave */
        for (int i = 0; i < others; i++) {
            busy[i] = client_open(f.port);
            assert_true(send_post(&busy[i], CHAT,
                                  about(late ? HI ", \"n\": 128, \"ignore_eos\": true"
                                             : HI ", \"n\": 8, \"ignore_eos\": true")));
        }
        while (metric(f.port, "hone_lm_sequences{model=\"letters\",state=\"waiting\"}") < 1) usleep(1000);
        if (late) snprintf(field, sizeof field, "X-Request-Timeout-Ms: 500\r\n");
        const char *body = about(HI ", \"stream\": true");
        char head[300];
        snprintf(head, sizeof head, "POST " CHAT " HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                 field, strlen(body));
        assert_true(client_text(&c, head) && client_text(&c, body));
        reply r = client_reply(&c, false);
        assert_int_equal(r.status, 200);
        assert_memory_equal(r.body, ": still at work\n\n", 17);
        check_has(r, 200, ends[late]);
        for (int i = 0; i < others; i++) client_close(&busy[i]);
        client_close(&c);
        stop(&f);
    }
}

/* Texts that are under way when a new version comes are finished by the one that they began with. */
static void test_reload(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    repo_mkdir("models");
    repo_mkdir("models/letters");
    language_save(repo_path("models/letters/1"), LANGUAGE_TEMPLATE);
    o.repository = repo_path("models");
    o.file_poll_ms = 20;
    start(&f, &o);
    client c = client_open(f.port), d = client_open(f.port);
    assert_true(send_post(&c, CHAT, about(HI ", \"n\": 16, \"ignore_eos\": true, \"stream\": true")));
    assert_true(client_more(&c, CLIENT_WAIT_MS) > 0);
    language_save(repo_path("models/letters/2"), LANGUAGE_TEMPLATE);
    for (bool there = false; !there; usleep(5000)) {
        reply r = client_ask(&d, "GET", "/v1/models/letters/versions/2", NULL);
        there = r.body && strstr(r.body, "AVAILABLE");
        free(r.body);
    }
    check_has(client_ask(&d, "POST", CHAT, about(HI)), 200,
              "\"system_fingerprint\": \"hone-" HONE_VERSION "-v2\"");
    reply r = client_reply(&c, false);
    int ends = 0;
    for (const char *at = r.body; (at = strstr(at, "\"finish_reason\": \"length\"")); at++) ends++;
    assert_int_equal(ends, 16);
    assert_null(strstr(r.body, "-v2\""));
    check_has(r, 200, "data: [DONE]\n\n");
    client_close(&c);
    client_close(&d);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat),        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_stream),      cmocka_unit_test(test_stops),
        cmocka_unit_test(test_completions), cmocka_unit_test(test_scores),
        cmocka_unit_test(test_seeds),       cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_tools),       cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_models),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_leaving),     cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_slow_client), cmocka_unit_test(test_full),
        cmocka_unit_test(test_silence),     cmocka_unit_test(test_reload),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
