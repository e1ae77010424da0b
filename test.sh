#!/bin/bash
# Installs what only the tests need, builds, runs every test. --long adds ThreadSanitizer and the soaks.
# The last line is "N passed, N failed" or "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")" || exit 1
. scripts/packages.sh
long=no
case "${1:-}" in
"") ;;
--long) long=yes ;;
*)
    echo "usage: ./test.sh [--long]" >&2
    exit 2
    ;;
esac
mkdir -p build
started=$SECONDS

# shellcheck disable=SC2086 # lists of words
need_packages $packages_build $packages_test || exit 1
need_llhttp || exit 1
# shellcheck disable=SC2086
[ $long = no ] || need_packages $packages_long || echo "PyTorch cannot be had: the test that needs it is skipped"
if [ $long = yes ]; then
    # shellcheck disable=SC2086
    need_packages $packages_builds && need_sources $sources_builds >build/sources.log 2>&1 ||
        echo "not all compilers for other machines, or sources for them, can be had: tests that need them are skipped"
fi
# shellcheck disable=SC2086
need_peers $packages_peers || echo "not all peers can be had: the tests that need them are skipped"
if need_python >build/python.log 2>&1; then
    export HONE_PYTHON=$PWD/build/venv/bin/python
else
    tail -n 3 build/python.log
    echo "Python's packages cannot be had: the tests that need them are skipped"
    export HONE_PYTHON=
fi
need_grpcurl >build/grpcurl.log 2>&1 ||
    echo "grpcurl cannot be had: the test that needs it is skipped"
export HONE_PROMTOOL=$PWD/build/peers/usr/bin/promtool
[ -x "$HONE_PROMTOOL" ] || HONE_PROMTOOL=
export HONE_GRPCURL=$PWD/build/peers/go/bin/grpcurl
[ -x "$HONE_GRPCURL" ] || HONE_GRPCURL=

passed=0
failed=0
skipped=0
skipped_names=""
failed_names=""

# suite NAME LABEL OPTION...: builds build/NAME and runs its tests, all or those of one label.
suite() {
    name=$1 only=$2
    shift 2
    say "$name: building"
    if ! configure "$name" "$@" || ! cmake --build "build/$name" -j "$(jobs)" >"build/$name/build.log" 2>&1; then
        [ -s "build/$name/build.log" ] && tail -n 60 "build/$name/build.log"
        echo "FAILED: $name does not build"
        failed=$((failed + 1)) failed_names="$failed_names $name:build"
        return
    fi
    say "$name: testing"
    # shellcheck disable=SC2086
    ctest --test-dir "build/$name" $only -j "$(jobs)" --output-on-failure --no-tests=error \
        --output-junit results.xml 2>&1 | tee "build/$name/test.log" | grep -v -E '^ *Start|^Internal ctest|^$'
    ran=$(grep -c '<testcase ' "build/$name/results.xml" 2>/dev/null || true)
    if [ "${ran:-0}" -eq 0 ]; then
        failed=$((failed + 1)) failed_names="$failed_names $name:ctest"
        return
    fi
    count() { sed -n "s/.*<testcase name=\"\([^\"]*\)\".* status=\"$1\".*/\1/p" "build/$name/results.xml"; }
    bad=$(count fail) out=$(count '\(notrun\|disabled\)')
    n_bad=$(echo "$bad" | grep -c .) n_out=$(echo "$out" | grep -c .)
    failed=$((failed + n_bad)) skipped=$((skipped + n_out)) passed=$((passed + ran - n_bad - n_out))
    for test in $bad; do failed_names="$failed_names $name:$test"; done
    for test in $out; do skipped_names="$skipped_names $name:$test"; done
}

asan="-DCMAKE_BUILD_TYPE=Debug -DHONE_SANITIZE=address,undefined"
tsan="-DCMAKE_BUILD_TYPE=Debug -DHONE_SANITIZE=thread"
suite test "-LE long" -DCMAKE_BUILD_TYPE=Release -DHONE_WERROR=ON
# shellcheck disable=SC2086
suite asan "-LE long" $asan "-DCMAKE_C_FLAGS_DEBUG=-O1 -g"
if [ $long = yes ]; then
    # shellcheck disable=SC2086
    suite tsan "-LE long" $tsan "-DCMAKE_C_FLAGS_DEBUG=-O1 -g"
    suite test "-L long" -DCMAKE_BUILD_TYPE=Release -DHONE_WERROR=ON
fi

say "done in $((SECONDS - started)) s"
for test in $skipped_names; do echo "skipped: $test"; done
for test in $failed_names; do echo "failed: $test"; done
if [ $skipped -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
