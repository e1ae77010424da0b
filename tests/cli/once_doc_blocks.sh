#!/bin/sh
# Runs the examples of docs/serving.md, docs/batching.md and docs/migrating-from-tensorflow-serving.md as they stand there. What stands
# behind the language of a fenced block says what is done with it:
#
#   ```sh run               it is run, and succeeds       ```python run NAME   it is saved under that name and run
#   ```sh server            it is left running; 8501 in later blocks becomes the port that its server got
#   ```text file NAME       it is saved                   ```json answer       the run before it printed just this
. "$(dirname "$0")/lib.sh"
need_fashion
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" -c 'import onnx, tritonclient.grpc, tritonclient.http, tensorflow_serving' 2>/dev/null || exit 77
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
port=8501

# What the reader has in PATH: the command, which listens at a free port, and Python with the peers' packages, to which
# tensorflow_protos gives the few messages of TensorFlow that they import.
mkdir bin
cat >bin/hone <<END
#!/bin/sh
[ "\$1" != serve ] || exec "$HONE" "\$@" --port 0
exec "$HONE" "\$@"
END
cat >bin/python3 <<END
#!/bin/sh
case \$1 in -*) exec "$HONE_PYTHON" "\$@" ;; esac
exec "$HONE_PYTHON" -c 'import runpy, sys
sys.path[:0] = ["$root/tests/serve"]
import tensorflow_protos
sys.argv[:1] = []
runpy.run_path(sys.argv[0], run_name="__main__")' "\$@"
END
chmod +x bin/hone bin/python3
PATH=$work/bin:$PATH

# blocks FILE DIR: block N of those with something behind the language goes to DIR/N; the list is in DIR/list.
blocks() {
    mkdir -p "$2"
    awk -v dir="$2" '
        /^```/ && inside { inside = 0; close(file); next }
        /^```[a-z]+ / { inside = 1; file = sprintf("%s/%03d", dir, ++n); printf "" >file
            print n, NR, substr($1, 4), $2, ($3 == "" ? "-" : $3) >(dir "/list"); next }
        /^```/ { inside = 2; file = "/dev/null"; next }
        inside { print >file }' "$1"
}

stop_server() {
    [ -n "$server" ] || return 0
    kill -TERM "$server"
    wait "$server"
    holds "$where: the server ends well" [ $? -eq 0 ]
    server=""
}

start_block() {
    stop_server
    : >serve.out
    sed 's/^hone serve/exec hone serve/' "$1" >server.sh
    sh -eu server.sh >serve.out 2>serve.err </dev/null &
    server=$!
    children="$children $server"
    tries=0
    until grep -q '^listening at ' serve.out || [ $tries -gt 600 ] || ! kill -0 $server 2>/dev/null; do
        sleep 0.05
        tries=$((tries + 1))
    done
    port=$(sed -n 's/^listening at .*:\([0-9]*\)$/\1/p' serve.out)
    holds "$where: the server starts: $(cat serve.err)" [ -n "$port" ]
}

run_block() { # FILE LANGUAGE NAME
    name=$3
    [ "$name" != - ] || name=block.$2
    sed "s/\(127\.0\.0\.1\|localhost\):8501/\1:$port/g" "$1" >"$name"
    case $2 in
    sh) timeout 300 sh -eu "$name" >stdout 2>stderr </dev/null ;;
    python) timeout 300 python3 "$name" >stdout 2>stderr </dev/null ;;
    *) echo "what is $2?" >stderr && false ;;
    esac
    status=$?
    if [ $status -eq 0 ]; then pass; else fail "$where: exit status $status"; fi
}

for page in serving batching migrating-from-tensorflow-serving; do
    mkdir "$work/$page"
    cd "$work/$page" || exit 1
    ln -s "$root/examples" examples
    blocks "$root/docs/$page.md" blocks
    server=""
    while read -r n line language use name; do
        where="docs/$page.md:$line"
        file=blocks/$(printf %03d "$n")
        case $use in
        file) cp "$file" "$name" ;;
        server) start_block "$file" ;;
        run) run_block "$file" "$language" "$name" ;;
        answer)
            printf '%s\n' "$(cat stdout)" >got
            if diff "$file" got >difference; then pass; else fail "$where: $(cat difference)"; fi
            ;;
        *) fail "$where: what is \"$use\"?" ;;
        esac
    done <blocks/list
    stop_server
    holds "docs/$page.md has examples" [ "$(wc -l <blocks/list)" -gt 5 ]
done
cd "$work" || exit 1

# The rows between <!-- NAME and <!-- end of NAME in a page's tables, without the heading.
rows() { sed -n "/^<!-- $2\b/,/^<!-- end of $2 /p" "$root/docs/$1.md" | grep '^| `'; }

# TensorFlow Serving's flags: what is said about each is what the command does.
rows migrating-from-tensorflow-serving flags | sed 's/^| `--\([a-z_]*\)` | \([a-z ]*\) |.*/\1 \2/' >flags
while read -r flag fate; do
    hone serve "--$flag=1"
    holds "--$flag alone is not enough" [ $status -ne 0 ]
    case $fate in
    "left out") holds "--$flag is left out" grep -q -e "^hone serve: --$flag is left out: " stderr ;;
    same) holds "--$flag is known" sh -c '! grep -e unknown -e "left out" -e "not taken" stderr' ;;
    refused)
        holds "--$flag is refused" grep -q -e "^hone serve: --$flag is not taken here: " stderr
        exits 2 serve "--$flag=false"
        holds "--$flag=false is left out" grep -q -e "^hone serve: --$flag is left out: " stderr
        ;;
    *) fail "what is \"$fate\" about --$flag?" ;;
    esac
done <flags
holds "all flags are tried" [ "$(wc -l <flags)" -ge 48 ]

# The settings of a model: a number below the range that the page tells is refused with that range.
mkdir -p models/m
cp serving/models/half_plus/2/model.onnx half.onnx
mkdir models/m/1
mv half.onnx models/m/1/model.onnx
start_server --repository models
rows serving settings | sed -n 's/^| `\([a-z_.]*\)` | [^|]* | \([0-9]\{1,\}\) | \([0-9]*\) |.*/\1 \2 \3/p' >settings
while read -r key least most; do
    value=$((least - 1))
    case $key in
    *.preferred_batch_sizes) value="[$value]" ;;
    esac
    case $key in
    *.*) text="{\\\"${key%.*}\\\": {\\\"${key#*.}\\\": $value}}" ;;
    *) text="{\\\"$key\\\": $value}" ;;
    esac
    curl -s -d "{\"parameters\": {\"config\": \"$text\"}}" "$url/v2/repository/models/m/load" >stdout
    prints "\\\"${key#*.}\\\" is no whole number from $least to $most"
done <settings
holds "all settings are tried" [ "$(wc -l <settings)" -ge 7 ]
finish
