# What the tests of the command share. Sourced; wants HONE (the command), gives $work (a directory that goes away), and
# ends with "N passed, N failed" by `finish`.
set -u
: "${HONE:?the command to test}"
root=$(cd "$(dirname "$0")/../.." && pwd)
export LC_ALL=C.UTF-8
work=$(mktemp -d "${TMPDIR:-/tmp}/hone-test.XXXXXX")
children=""
clean_up() {
    # shellcheck disable=SC2086
    [ -z "$children" ] || kill $children 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work" || exit 1
passed=0
failed=0

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAILED: $*"
    [ ! -s stdout ] || sed 's/^/    stdout: /' stdout | head -n 20
    [ ! -s stderr ] || sed 's/^/    stderr: /' stderr | head -n 20
}

# hone ARGUMENT...: runs the command; leaves $status, and the files stdout and stderr.
hone() {
    "$HONE" "$@" >stdout 2>stderr </dev/null
    status=$?
}

# exits STATUS ARGUMENT...: the command ends with that status.
exits() {
    wanted=$1
    shift
    hone "$@"
    if [ "$status" -eq "$wanted" ]; then pass; else fail "hone $*: exit status $status, not $wanted"; fi
}

# works ARGUMENT...: exit status 0.
works() { exits 0 "$@"; }

# says STATUS LINE ARGUMENT...: the command ends with that status and just that line on stderr, nothing on stdout.
says() {
    wanted=$1 line=$2
    shift 2
    hone "$@"
    if [ "$status" -eq "$wanted" ] && [ "$(cat stderr)" = "$line" ] && [ ! -s stdout ]; then
        pass
    else
        fail "hone $*: exit status $status (not $wanted?) or not the line: $line"
    fi
}

# says_like STATUS PATTERN ARGUMENT...: as says, with a shell pattern; and it is one line.
says_like() {
    wanted=$1 pattern=$2
    shift 2
    hone "$@"
    # shellcheck disable=SC2254
    case "$(cat stderr)" in
    $pattern) like=yes ;;
    *) like=no ;;
    esac
    if [ "$status" -eq "$wanted" ] && [ $like = yes ] && [ "$(wc -l <stderr)" -eq 1 ] && [ ! -s stdout ]; then
        pass
    else
        fail "hone $*: exit status $status (not $wanted?) or stderr is not like: $pattern"
    fi
}

# holds WHAT COMMAND...: the command succeeds.
holds() {
    what=$1
    shift
    if "$@" >/dev/null 2>&1; then pass; else fail "$what"; fi
}

# prints TEXT: the last command's stdout has the text.
prints() {
    if grep -q -F -e "$1" stdout; then pass; else fail "stdout lacks: $1"; fi
}

# json EXPRESSION [FILE]: Python, about `d`, the JSON document in stdout (or FILE).
json() {
    if python3 -c 'import json, math, sys
d = json.load(open(sys.argv[2]))
sys.exit(0 if eval(sys.argv[1]) else 1)' "$1" "${2:-stdout}" 2>python.err; then
        pass
    else
        fail "not so: $1 $(tail -n 1 python.err)"
    fi
}

# nothing_left DIRECTORY: no temporary file stayed there.
nothing_left() {
    left=$(find "$1" -name '.*tmp-*' -o -name '.hone-check-*')
    if [ -z "$left" ]; then pass; else fail "left behind: $left"; fi
}

be32() { printf "\\$(printf %o $(($1 >> 24 & 255)))\\$(printf %o $(($1 >> 16 & 255)))\\$(printf %o $(($1 >> 8 & 255)))\\$(printf %o $(($1 & 255)))"; }

fashion=/usr/share/datasets/fashion-mnist
need_fashion() { [ -e $fashion/t10k-labels-idx1-ubyte.gz ] || exit 77; }

# small_data DIR TRAIN TEST: the first images of Fashion-MNIST as an idx:DIR.
small_data() {
    need_fashion
    mkdir -p "$1"
    small_part train "$1" "$2"
    small_part t10k "$1" "$3"
}
small_part() {
    {
        printf '\000\000\010\003'
        be32 "$3"
        be32 28
        be32 28
        zcat $fashion/"$1"-images-idx3-ubyte.gz 2>/dev/null | tail -c +17 | head -c $((784 * $3))
    } >"$2/$1-images-idx3-ubyte"
    {
        printf '\000\000\010\001'
        be32 "$3"
        zcat $fashion/"$1"-labels-idx1-ubyte.gz 2>/dev/null | tail -c +9 | head -c "$3"
    } >"$2/$1-labels-idx1-ubyte"
}

# npy FILE DESCR SHAPE: an NPY file of what comes on stdin: npy x.npy '<f4' '1, 1, 28, 28' <bytes
npy() {
    header="{'descr': '$2', 'fortran_order': False, 'shape': ($3), }"
    {
        printf '\223NUMPY\001\000\166\000'
        printf '%-117s\n' "$header"
        cat
    } >"$1"
}

# test_image N: image N of the test set as 784 floats in [0, 1], little endian.
test_image() {
    zcat $fashion/t10k-images-idx3-ubyte.gz 2>/dev/null | tail -c +$((17 + 784 * $1)) | head -c 784 |
        perl -e 'local $/; binmode STDIN; binmode STDOUT; print pack "f<*", map { $_ / 255 } unpack "C*", <STDIN>'
}
# Their labels: ankle boot, pullover, trouser, trouser, shirt.
test_labels="9 2 1 1 6"

# small_model FILE [HIDDEN]: a network trained a little on data/ (made here if it is not there yet).
small_model() {
    [ -d data ] || small_data data 2000 500
    hone train --model "mlp:784-${2:-16}-10" --data idx:data --epochs 2 --threads 1 --out "$1"
    [ $status -eq 0 ] || {
        fail "no model to test with"
        finish
    }
}

# until_so COMMAND...: waits until it succeeds, for two minutes at most.
until_so() {
    tries=0
    until "$@" >/dev/null 2>&1 || [ $tries -gt 2400 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
}

server_told() { grep -q '^listening at ' serve.out || ! kill -0 "$pid"; }

# start_server ARGUMENT...: `hone serve` on a free port; sets $pid and $url, and leaves what it prints in serve.out and
# serve.err. start_server_at PORT ARGUMENT...: on that one; $url is empty if it can't.
start_server() { start_server_at 0 "$@"; }
start_server_at() {
    : >serve.out
    "$HONE" serve --port "$@" >serve.out 2>serve.err </dev/null &
    pid=$!
    children="$children $pid"
    until_so server_told
    url=$(sed -n 's/^listening at //p' serve.out)
}

# Other people's programs, from build/peers, where scripts/packages.sh unpacks them, or from the path.
# need_peer NAME ARGUMENT...: skips the test if that does not work. peer NAME ARGUMENT...: runs it. start_peer NAME
# ARGUMENT...: in the background; sets $peer_pid, and leaves what it says in NAME.log.
peers=${HONE_PEERS:-$root/build/peers}
peer_libraries=$peers/usr/lib/$(uname -m)-linux-gnu
peer_libraries=$peer_libraries:$peer_libraries/systemd:$peers/lib/$(uname -m)-linux-gnu
peer_path() {
    for directory in "$peers/usr/bin" "$peers/usr/sbin"; do
        if [ -x "$directory/$1" ]; then
            echo "$directory/$1"
            return
        fi
    done
    command -v "$1"
}
peer() {
    peer_program=$(peer_path "$1") || return 127
    shift
    LD_LIBRARY_PATH="$peer_libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$peer_program" "$@"
}
need_peer() { peer "$@" >/dev/null 2>&1 || exit 77; }
start_peer() {
    peer_name=$1
    : >"$peer_name.log"
    peer_program=$(peer_path "$1")
    shift
    LD_LIBRARY_PATH="$peer_libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$peer_program" "$@" \
        >"$peer_name.log" 2>&1 </dev/null &
    peer_pid=$!
    children="$children $peer_pid"
}

# needs WHAT COMMAND...: as holds, but without it there is no going on.
needs() {
    failures=$failed
    holds "$@"
    [ $failed -eq "$failures" ] || finish
}

# run_page NAME: runs the examples of docs/NAME.md in their order: ```sh run, ```python run FILE, and ```text file FILE, which is
# saved; the last one's answer is left in stdout. `hone` there is the command under test.
run_page() {
    page=$1
    if [ ! -d "$work/bin" ]; then
        mkdir "$work/bin"
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$HONE" >"$work/bin/hone"
        chmod +x "$work/bin/hone"
        PATH=$work/bin:$PATH
    fi
    awk '/^```/ && inside { inside = 0; close(file); next }
        /^```[a-z]+ / { inside = 1; file = sprintf("block.%03d", ++n); printf "" >file
            print file, substr($1, 4), $2, ($3 == "" ? "-" : $3) >"list"; next }
        /^```/ { inside = 2; file = "/dev/null"; next }
        inside { print >file }' "$root/docs/$page.md"
    while read -r file language what name; do
        case $language-$what in
        text-file) cp "$file" "$name" ;;
        sh-run)
            sh -eu "$file" >stdout 2>stderr </dev/null
            status=$?
            if [ $status -eq 0 ]; then pass; else fail "docs/$page.md: exit status $status: $(cat "$file")"; fi
            ;;
        python-run)
            cp "$file" "$name"
            holds "$name of docs/$page.md" "$HONE_PYTHON" "$name"
            ;;
        *) fail "docs/$page.md: a block that nobody runs: $language $what" ;;
        esac
    done <list
}

finish() {
    echo "$passed passed, $failed failed"
    if [ $failed -eq 0 ]; then exit 0; else exit 1; fi
}
