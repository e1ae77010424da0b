#!/bin/sh
# docs/cli.md and the table of options in docs/serving.md are what scripts/make-cli-docs.sh makes today.
. "$(dirname "$0")/lib.sh"
mkdir docs
cp "$root/docs/serving.md" docs
"$root/scripts/make-cli-docs.sh" "$HONE" docs
for page in cli serving; do
    holds "docs/$page.md is out of date: scripts/make-cli-docs.sh build/release/hone" \
        diff "$root/docs/$page.md" docs/$page.md
    holds "docs/$page.md has the options" grep -q -e '--drain-timeout' docs/$page.md
done
# who reads a page sees which file a block is: its name stands in the line above
for page in serving migrating-from-tensorflow-serving; do
    awk '/^```[a-z]+ (file|run) [^ ]/ && index(last, "`" $3 "`") == 0 { print NR ": " $3 }
         /[^ ]/ { last = $0 }' "$root/docs/$page.md" >unnamed
    holds "docs/$page.md does not say which file this is: $(cat unnamed)" [ ! -s unnamed ]
done
finish
