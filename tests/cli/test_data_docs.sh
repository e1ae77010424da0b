#!/bin/sh
# Runs the examples of docs/data.md in their order: ```sh run, ```python run NAME, and ```text file NAME, which is saved.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import numpy' 2>/dev/null || exit 77
mkdir bin
printf '#!/bin/sh\nexec "%s" "$@"\n' "$HONE" >bin/hone
chmod +x bin/hone
PATH=$work/bin:$PATH
awk '/^```/ && inside { inside = 0; close(file); next }
    /^```[a-z]+ / { inside = 1; file = sprintf("block%02d", ++n); printf "" >file
        print file, substr($1, 4), $2, ($3 == "" ? "-" : $3) >"list"; next }
    inside { print >file }' "$root/docs/data.md"
while read -r file language what name; do
    case $language-$what in
    text-file) cp "$file" "$name" ;;
    sh-run)
        sh -eu "$file" >stdout 2>stderr </dev/null
        status=$?
        if [ $status -eq 0 ]; then pass; else fail "$file of docs/data.md: exit status $status: $(cat "$file")"; fi
        ;;
    python-run)
        cp "$file" "$name"
        holds "$name of docs/data.md" "$HONE_PYTHON" "$name"
        ;;
    *) fail "a block that nobody runs: $language $what" ;;
    esac
done <list
holds "predictions were written" [ "$(wc -l <predictions.csv)" -eq 11 ]
holds "of rows without a target, too" [ "$(wc -l <new-prices.csv)" -eq 3 ]
tail -n 1 stdout >last.json
json '0.8 < d["accuracy"] <= 1 and d["samples"] == 200' last.json
finish
