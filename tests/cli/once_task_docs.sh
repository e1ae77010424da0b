#!/bin/sh
# Runs the examples of docs/text.md and docs/sound.md as they stand there: "```sh run" is run, and succeeds; "```text file NAME"
# is saved.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || exit 77
mkdir bin
cat >bin/hone <<END
#!/bin/sh
exec "$HONE" "\$@"
END
chmod +x bin/hone
PATH=$work/bin:$PATH
for page in text sound; do
    mkdir $page
    cd $page || exit 1
    awk '
        /^```/ && inside { inside = 0; close(file); next }
        /^```sh run/ { inside = 1; file = sprintf("block.%03d", ++n); printf "" >file; next }
        /^```text file/ { inside = 1; file = $3; printf "" >file; next }
        /^```/ { inside = 2; file = "/dev/null"; next }
        inside { print >file }' "$root/docs/$page.md"
    for block in block.*; do
        if sh -eu "$block" >stdout 2>stderr </dev/null; then pass; else fail "$page: $(cat "$block")"; fi
    done
    cd ..
done
[ "$passed" -ge 8 ] || fail "there are eight blocks at least"
finish
