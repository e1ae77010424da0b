/* Runs a fuzz target over files that are there already, where libFuzzer is not: each argument is a file or a
 * directory of files. A missing argument is an error; a target that crashes ends the program, as under the
 * fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t files, total;

static int replay_file(const char *path, size_t size) {
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1); /* of the exact size, so that reading past the end shows */
    if (!f || !data || fread(data, 1, size, f) != size) {
        fprintf(stderr, "%s: cannot read\n", path);
        if (f) fclose(f);
        free(data);
        return 1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    files++;
    total += size;
    return 0;
}

static int replay(const char *path, int depth) {
    struct stat info;
    if (stat(path, &info) != 0) {
        perror(path);
        return 1;
    }
    if (S_ISREG(info.st_mode)) return replay_file(path, (size_t)info.st_size);
    struct dirent **entries;
    int count = S_ISDIR(info.st_mode) && depth < 8 ? scandir(path, &entries, NULL, alphasort) : 0, failed = 0;
    if (count < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char inside[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(inside, sizeof inside, "%s/%s", path, entries[i]->d_name);
            failed |= replay(inside, depth + 1);
        }
        free(entries[i]);
    }
    if (count > 0) free(entries);
    return failed;
}

int main(int argc, char **argv) {
    int failed = argc < 2;
    if (failed) fprintf(stderr, "usage: %s FILE-OR-DIRECTORY…\n", argv[0]);
    for (int i = 1; i < argc; i++) failed |= replay(argv[i], 0);
    printf("%zu files, %zu bytes replayed\n", files, total);
    if (files == 0) failed = 1;
    return failed;
}
