/* Texts as they lie in files, with their labels. */
#ifndef HONE_DATA_CORPUS_H
#define HONE_DATA_CORPUS_H

#include "base/error.h"
#include "base/memory.h"

#include <hone/data.h>

typedef struct hone_document {
    const char *text, *label; /* label NULL: it has none */
    size_t size;
} hone_document;

typedef struct hone_corpus {
    hone_arena *arena;
    hone_document *items;
    size_t count, capacity, labeled;
    const char *target;
    int64_t bytes;
    int64_t skipped; /* files and lines that are left out, and why the first one is */
    char why[256];
    bool paths; /* files are not read */
    bool split; /* the path has a part for each split, or this is one of them */
} hone_corpus;

/* Reads what lies at `path`, of one split:
 *
 *   FILE.tsv     label, tab, text; a line "label<TAB>text" at the begin names the columns
 *   FILE.jsonl   an object in each line, with "text" and "label"
 *   FILE.csv     a table (data/csv.h) with a line of names: the text is the column "text", "sentence" or the first other one,
 *                the label `target`, or "label", "y", "target" or "class" (NULL)
 *   FILE         any other: one document
 *   DIR          a folder for each label, with a file for each text; or files without labels
 *   DIR          with train, test and validation (val, dev) in it, each one of the above: the splits
 *
 * Documents are in the order of lines and of names. HONE_NOT_FOUND: there is no such split. Zeros at first;
 * hone_corpus_free() when done, also after a failure. */
hone_status hone_corpus_read(const char *path, hone_split split, const char *target, hone_corpus *out,
                             hone_error *err);
/* The same of files alone: a document is a file's path, whatever is in it, and a label the folder that it lies in. */
hone_status hone_corpus_list(const char *path, hone_split split, hone_corpus *out, hone_error *err);
void hone_corpus_free(hone_corpus *c);

#endif
