#!/bin/sh
# Has Prometheus' own promtool check the metrics in the given files (or of standard input): it must accept them and have
# nothing to say. promtool is $PROMTOOL, or that of build/peers, or the one in the path; where there is none, the
# package is unpacked into build/peers (nothing is installed). Last line: "N passed, N failed".
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
peers=$root/build/peers
promtool=${PROMTOOL:-$peers/usr/bin/promtool}
if [ ! -x "$promtool" ]; then
    promtool=$(command -v promtool || true)
fi
if [ -z "$promtool" ]; then
    mkdir -p "$peers/packages"
    (cd "$peers/packages" && apt-get download prometheus && dpkg -x prometheus_*.deb "$peers") >&2 || {
        echo "promtool cannot be had: apt-get download prometheus failed"
        echo "0 passed, 1 failed"
        exit 1
    }
    promtool=$peers/usr/bin/promtool
fi

passed=0
failed=0
check() { # NAME, text on standard input
    said=$("$promtool" check metrics 2>&1)
    code=$?
    if [ $code -eq 0 ] && [ -z "$said" ]; then
        passed=$((passed + 1))
        echo "ok: $1"
    else
        failed=$((failed + 1))
        echo "FAILED: $1 (exit code $code)"
        echo "$said"
    fi
}

if [ $# -eq 0 ]; then
    check "standard input"
fi
for file in "$@"; do
    if [ -s "$file" ]; then
        check "$file" <"$file"
    else
        failed=$((failed + 1))
        echo "FAILED: $file is missing or empty"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
