#!/bin/sh
# docs/cli.md is what scripts/make-cli-docs.sh makes today.
. "$(dirname "$0")/lib.sh"
"$root/scripts/make-cli-docs.sh" "$HONE" >cli.md
holds "docs/cli.md is out of date: scripts/make-cli-docs.sh build/release/hone >docs/cli.md" diff "$root/docs/cli.md" cli.md
finish
