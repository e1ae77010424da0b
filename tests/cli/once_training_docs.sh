#!/bin/sh
# Runs the examples of docs/training.md as they stand there: "```sh run" is run, and succeeds; "```text file NAME" is saved.
. "$(dirname "$0")/lib.sh"
need_fashion
mkdir bin
cat >bin/hone <<END
#!/bin/sh
exec "$HONE" "\$@"
END
chmod +x bin/hone
PATH=$work/bin:$PATH
awk '
    /^```/ && inside { inside = 0; close(file); next }
    /^```sh run/ { inside = 1; file = sprintf("block.%03d", ++n); printf "" >file; next }
    /^```text file/ { inside = 1; file = $3; printf "" >file; next }
    /^```/ { inside = 2; file = "/dev/null"; next }
    inside { print >file }' "$root/docs/training.md"
for block in block.*; do
    if sh -eu "$block" >stdout 2>stderr </dev/null; then pass; else fail "$(cat "$block")"; fi
done
[ "$passed" -ge 5 ] || fail "there are five blocks at least"
finish
