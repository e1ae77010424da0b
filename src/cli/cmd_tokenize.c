#include "files.h"
#include "json.h"
#include "options.h"
#include "text.h"

#include <hone/import.h>
#include <hone/text.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    const char *tokenizer, *text, *file, *ids, *train, *out;
    cli_list texts;
    bool around, special, json;
} args;

static const cli_option options[] = {
    {.type = CLI_POSITIONAL,
     .name = "TOKENIZER",
     .value = "TOKENIZER",
     .to = &args.tokenizer,
     .help =
         "tokenizer.json, a folder with one in it, a GGUF file, or an ONNX file with a tokenizer beside it",
     .required = true},
    {.type = CLI_POSITIONAL, .name = "TEXT", .value = "TEXT", .to = &args.text, .help = "text to tokenize"},
    OPT_TEXT("file", "FILE", args.file, "tokenize the text of a file"),
    OPT_TEXT("decode", "IDS", args.ids, "the other way round: the text of ids, 17,4,9"),
    OPT_FLAG("template", args.around, "with what the tokenizer puts around a text, such as [CLS] and [SEP]"),
    OPT_FLAG("special", args.special,
             "special tokens count: they are found in the text, and shown when decoding"),
    OPT_JSON(args.json),
    OPT_END,
};

static bool ends_in(const char *text, const char *with) {
    size_t n = strlen(text), m = strlen(with);
    return n > m && strcmp(text + n - m, with) == 0;
}

/* --- a text --- */

static int read_text(const char *path, char **text, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) return cli_error("%s: cannot open it", path);
    *text = NULL;
    size_t capacity = 0, got;
    *size = 0;
    do {
        if (*size == capacity) {
            capacity = capacity ? 2 * capacity : 1 << 16;
            char *more = realloc(*text, capacity);
            if (!more) break;
            *text = more;
        }
        got = fread(*text + *size, 1, capacity - *size, f);
        *size += got;
    } while (got);
    bool good = !ferror(f) && feof(f);
    fclose(f);
    return good ? CLI_OK : cli_error("%s: cannot read it", path);
}

static json_t *piece_json(const hone_tokenizer *t, int32_t id) {
    size_t size;
    const char *piece = hone_tokenizer_piece(t, id, &size);
    return piece ? cli_json_text(piece) : json_null();
}

static void print_ids(const hone_tokenizer *t, const int32_t *ids, size_t count) {
    json_t *numbers = json_array(), *pieces = json_array();
    for (size_t i = 0; i < count && args.json; i++) {
        json_array_append_new(numbers, json_integer(ids[i]));
        json_array_append_new(pieces, piece_json(t, ids[i]));
    }
    if (args.json) {
        cli_print_json(json_pack("{s:o, s:o}", "ids", numbers, "pieces", pieces));
        return;
    }
    json_decref(numbers);
    json_decref(pieces);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *piece = hone_tokenizer_piece(t, ids[i], &size);
        printf("%7d  %s\n", ids[i], piece ? piece : "");
    }
}

static int encode(const hone_tokenizer *t, hone_encoder *e) {
    hone_error err = {0};
    char *read = NULL;
    size_t size = args.text ? strlen(args.text) : 0, count;
    const int32_t *ids;
    int status = args.file ? read_text(args.file, &read, &size) : CLI_OK;
    if (status == CLI_OK) {
        unsigned flags = (args.around ? HONE_ENCODE_TEMPLATE : 0u) | (args.special ? 0u : HONE_ENCODE_PLAIN);
        status = hone_encoder_encode(e, read ? read : args.text, size, flags, &ids, &count, &err) == HONE_OK
                     ? CLI_OK
                     : cli_fail(&err);
    }
    if (status == CLI_OK) print_ids(t, ids, count);
    free(read);
    return status;
}

/* --- ids --- */

static int decode(hone_encoder *e) {
    hone_error err = {0};
    size_t count = 0, size;
    int32_t *ids = cli_alloc((strlen(args.ids) + 1) * sizeof *ids);
    const char *text = NULL;
    int status = CLI_OK;
    for (const char *at = args.ids; *at && status == CLI_OK;) {
        char *end;
        long id = strtol(at, &end, 10);
        if (end == at || id < 0 || id > INT32_MAX || (*end && *end != ',' && *end != ' '))
            status = cli_usage_error("--decode takes ids, 17,4,9, not '%s'", args.ids);
        else
            ids[count++] = (int32_t)id;
        at = *end ? end + 1 : end;
    }
    if (status == CLI_OK && hone_encoder_decode(e, ids, count, args.special, &text, &size, &err) != HONE_OK)
        status = cli_fail(&err);
    free(ids);
    if (status != CLI_OK) return status;
    if (args.json)
        cli_print_json(json_pack("{s:o}", "text", cli_json_text(text)));
    else
        printf("%s\n", text);
    return CLI_OK;
}

/* --- the tokenizer --- */

static int work(hone_tokenizer **t, hone_encoder **e) {
    hone_error err = {0};
    int given = (args.text != NULL) + (args.file != NULL) + (args.ids != NULL);
    if (given != 1) return cli_usage_error("one of TEXT, --file and --decode is needed");
    struct stat about;
    if (stat(args.tokenizer, &about) == 0 && S_ISDIR(about.st_mode)) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tokenizer.json", args.tokenizer);
        CLI_TRY(hone_tokenizer_load(path, t, &err));
    } else if (ends_in(args.tokenizer, ".gguf")) {
        hone_import *m = NULL;
        CLI_TRY(hone_import_open(args.tokenizer, NULL, &m, &err));
        *t = hone_tokenizer_retain(hone_import_tokenizer(m));
        hone_import_free(m);
        if (!*t) return cli_error("%s: the model has no tokenizer", args.tokenizer);
    } else if (ends_in(args.tokenizer, ".onnx")) {
        CLI_TRY(cli_load_tokenizer(args.tokenizer, t, &err));
    } else {
        CLI_TRY(hone_tokenizer_load(args.tokenizer, t, &err));
    }
    CLI_TRY(hone_encoder_new(*t, e, &err));
    return args.ids ? decode(*e) : encode(*t, *e);
}

static int run(void) {
    hone_tokenizer *t = NULL;
    hone_encoder *e = NULL;
    int status = work(&t, &e);
    hone_encoder_free(e);
    hone_tokenizer_free(t);
    return status;
}

const cli_command cli_cmd_tokenize = {"tokenize", "show the tokens of a text",
                                      "Ids and pieces, one in a line.\n\n"
                                      "  hone tokenize tokenizer.json \"What does it make of this?\"\n"
                                      "  hone tokenize m.onnx --decode 17,4,9",
                                      options, run};
