/* Runs a test program once for each ISA level, since HONE_CPU is read once a process. */
#ifndef HONE_TESTS_EACH_LEVEL_H
#define HONE_TESTS_EACH_LEVEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const level_masks[] = {
#if defined(__x86_64__)
    "generic", "v2", "v3,-vnni", "v3", "v4,-vnni,-amx", "v4,-amx", "v4",
#else
    "generic",
    "neon,-dot",
    "neon,-i8mm",
    "neon",
#endif
};
#define LEVEL_MASKS (int)(sizeof level_masks / sizeof *level_masks)

/* The output of `program argument` at a level, cut to `size`; false if it did not exit with 0. */
static inline int run_at_level(const char *program, const char *argument, const char *mask, char *output,
                               size_t size) {
    char command[1024];
    const char *emulator = getenv("HONE_EMULATOR"); /* of another machine's programs */
    snprintf(command, sizeof command, "HONE_CPU=%s %s '%s' %s 2>&1", mask, emulator ? emulator : "", program,
             argument);
    FILE *pipe = popen(command, "r");
    if (!pipe) return 0;
    size_t used = fread(output, 1, size - 1, pipe);
    output[used] = 0;
    while (fgetc(pipe) != EOF) continue;
    return pclose(pipe) == 0;
}

#endif
