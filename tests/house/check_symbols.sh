#!/bin/sh
# check_symbols.sh BUILD_DIR [HEADER_DIR]: libhone.a defines no global symbol without our prefix, libhone.so exports the public
# functions and nothing else.
set -eu
cd "$(dirname "$0")/../.."
build=${1:?usage: check_symbols.sh BUILD_DIR [HEADER_DIR]}
headers=${2:-include/hone}
failed=0

defined() { nm --defined-only --extern-only "$@" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u; }

# Sanitizers put symbols of their own into every object.
unprefixed=$(defined "$build/libhone.a" | grep -v -E '^(hone_|__asan_|__odr_asan|__tsan_|__ubsan_|_?__sanitizer)' || true)
if [ -n "$unprefixed" ]; then
    echo "libhone.a defines global symbols without the prefix hone_:"
    echo "$unprefixed"
    failed=1
fi

public=$(cat "$headers"/*.h | tr '\n' ' ' | grep -o 'HONE_API [^;(]*(' | grep -o 'hone_[a-z0-9_]*($' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$build/libhone.so" | awk 'NF == 3 { print $3 }' | sort -u)
others=$(echo "$exported" | grep -v -F -x "$public" | grep -v -E '^__odr_asan|^(__bss_start|_edata|_end)$' || true) # gold's marks
if [ -n "$others" ]; then
    echo "libhone.so exports what no public header declares:"
    echo "$others"
    failed=1
fi
missing=$(echo "$public" | grep -v -F -x "$exported" || true)
if [ -n "$missing" ]; then
    echo "public headers declare what libhone.so does not have:"
    echo "$missing"
    failed=1
fi
exit $failed
