/* Compiles llhttp's api.c, from the directory that CMake found, under our names and in strict mode. */
#include "serve/http/llhttp_names.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include <api.c>
