#!/bin/bash
# The server's page for people: what browsers get at "/", and, where there is a Chromium, what they make of it.
. "$(dirname "$0")/lib.sh"
command -v curl >/dev/null || exit 77
printf 'a,b,y\n1,2,no\n3,1,yes\n2,2,no\n4,1,yes\n0,3,no\n5,2,yes\n' >t.csv
works train --model mlp:4 --data csv:t.csv --target y --batch 3 --epochs 1 --out m.onnx

# gets PATH FIELD...: what a browser gets, head and body.
gets() {
    path=$1
    shift
    curl -s -i -m 20 "$@" "$url$path" | tr -d '\r' >answer
}
start_server --model small=m.onnx
gets / -H 'Accept: text/html,application/xhtml+xml,*/*;q=0.8'
holds "a page" grep -q '<title>Hone</title>' answer
holds "with a policy" grep -q -i "^content-security-policy: default-src 'none'; script-src 'self'" answer
holds "that says of what it depends on" grep -q -i '^vary: accept' answer
for file in css js; do
    gets /page.$file
    holds "page.$file is as it is in the source" diff -q <(sed '1,/^$/d' answer) "$root/src/serve/page/page.$file"
done
gets /
holds "clients of APIs get their answer" grep -q '^{"status":"alive"}' answer
gets / -H 'Accept: text/html' -X POST
holds "no other verb" grep -q '^HTTP/1.1 405' answer
holds "no inline scripts or styles" sh -c "! grep -n -i 'style=\|<script>\|onclick\|<style' '$root/src/serve/page/page.html'"

# In a browser. It says what it logs on stderr; the lines of the system around it are not the page's.
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
shows() {
    timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --user-data-dir="$work/profile" --virtual-time-budget=7000 \
        --enable-logging=stderr --dump-dom "$url/" >page.html 2>log.txt
}
if [ -n "$browser" ] && shows; then
    for i in 1 2 3; do
        curl -s -o /dev/null "$url/v2/models/small/infer" -d '{"inputs": [{"name": "a", "datatype": "FP32", "shape": [1, 1], "data": [1]},
            {"name": "b", "datatype": "FP32", "shape": [1, 1], "data": [2]}]}' || fail "request $i"
    done
    shows
    holds "the browser has nothing to say against it" sh -c "! grep -i CONSOLE log.txt"
    holds "the model is in the table" grep -q '<th scope="row">small</th><td>1</td><td class="good">READY</td>' page.html
    holds "with its requests" grep -q 'READY</td><td class="n">[0-9.]*</td><td class="n">3</td><td class="n">0</td>' page.html
    holds "its inputs can be given" grep -q '<legend>a: FP32 \[any, 1\]</legend>' page.html
    holds "where time goes" grep -q '<th scope="row">compute</th>' page.html
    holds "nobody has to log in" grep -q '<form id="login" hidden' page.html
fi
kill "$pid"
wait "$pid"

printf 'me predict,admin,metrics 0123456789abcdef0123456789abcdef\n' >secrets
chmod 600 secrets
start_server --model small=m.onnx --auth-file secrets
gets / -H 'Accept: text/html'
holds "the page itself is no secret" grep -q '<title>Hone</title>' answer
if [ -n "$browser" ] && shows; then
    holds "who has no secret is asked for one" grep -q '<form id="login">' page.html
    holds "and sees no model" sh -c '! grep -q "<th scope=\"row\">small" page.html'
fi
finish
