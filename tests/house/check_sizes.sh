#!/bin/sh
# check_sizes.sh BUILD_DIR: no file in the repository is larger than 200 KB; the stripped command and the library stay
# under 6 MB together.
set -eu
cd "$(dirname "$0")/../.."
build=${1:?usage: check_sizes.sh BUILD_DIR}
failed=0

large=$(git ls-files -z | xargs -0 -r stat -c '%s %n' 2>/dev/null | awk '$1 > 200 * 1024')
if [ -n "$large" ]; then
    echo "files of more than 200 KB in the repository:"
    echo "$large"
    failed=1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
strip -o "$scratch/hone" "$build/hone"
strip -o "$scratch/libhone.so" "$build/libhone.so"
total=$(($(stat -c %s "$scratch/hone") + $(stat -c %s "$scratch/libhone.so")))
echo "stripped: hone $(stat -c %s "$scratch/hone"), libhone.so $(stat -c %s "$scratch/libhone.so"), together $total bytes"
[ "$total" -lt $((6 * 1024 * 1024)) ] || { echo "more than 6 MB"; failed=1; }
exit $failed
