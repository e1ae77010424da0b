#!/bin/sh
# Runs the examples of the pages on training.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || exit 77
need_fashion
for page in training text sound; do
    mkdir $page
    cd $page || exit 1
    before=$passed
    run_page $page
    [ "$passed" -ge $((before + 2)) ] || fail "docs/$page.md has two examples at least"
    cd ..
done
finish
