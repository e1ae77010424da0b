#!/bin/sh
# `hone serve` with secrets and tight limits, asked by curl, nghttp2's clients, grpcio and tritonclient.
. "$(dirname "$0")/lib.sh"
for tool in curl h2load openssl; do command -v $tool >/dev/null || exit 77; done
small_model m.onnx
api=v1/models/a:predict

# code URL ARGUMENT...: what curl is told; the answer is in stdout.
code() { curl -s -o stdout -w '%{http_code}' --max-time 60 "$@"; }
# gives CODE URL ARGUMENT...
gives() {
    wanted=$1
    shift
    got=$(code "$@")
    if [ "$got" = "$wanted" ]; then pass; else fail "$*: $got, not $wanted"; fi
}
end_server() {
    kill -TERM "$pid"
    wait "$pid"
    holds "the server ends well" [ $? -eq 0 ]
}

# --- secrets ---
web=a-secret-of-the-web-0001
ops=a-secret-of-operators-02
hash=$(printf %s "$ops" | openssl dgst -sha256 -r | cut -d' ' -f1)
umask 077
printf '# who may do what\nweb predict %s\nops admin,metrics sha256:%s\n' $web "$hash" >secrets
start_server --model a=m.onnx --auth-file secrets --file_system_poll_wait_seconds 0.1
holds "the server listens: $(cat serve.err)" [ -n "$url" ]
holds "no warning: $(cat serve.err)" sh -c '! grep -q "have access" serve.err'
gives 200 "$url/healthz"
gives 200 "$url/v2/health/ready"
gives 401 "$url/v1/models/a"
json '"secret" in d["error"]'
gives 200 "$url/v1/models/a" -H "Authorization: Bearer $web"
gives 200 "$url/v1/models/a" -H "X-API-Key: $web"
gives 403 "$url/v1/models/a" -H "X-API-Key: $ops"
gives 200 "$url/metrics" --oauth2-bearer $ops
gives 403 "$url/metrics" --oauth2-bearer $web
curl -s -D head -o stdout "$url/v2/models/a"
holds "a challenge" grep -q -i '^www-authenticate: Bearer' head
head -c 30000000 /dev/zero >large
for version in --http1.1 --http2-prior-knowledge; do
    gives 401 $version --data-binary @large "$url/$api"
    gives 401 $version -H 'Expect: 100-continue' --data-binary @large "$url/$api"
done
if [ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import tritonclient.grpc, tritonclient.http' 2>/dev/null; then
    (
        unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
        timeout 120 "$HONE_PYTHON" "$root/tests/serve/peer_auth.py" "${url#http://}" a $web $ops >clients.log 2>&1
    )
    holds "grpcio and tritonclient: $(tail -n 30 clients.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' clients.log
fi
# the file changes: in its own time, on SIGHUP, and not at all while it is broken
until_code() {
    tries=0
    until [ "$(code "$url/v1/models/a" -H "X-API-Key: $2")" = "$1" ] || [ $tries -gt 200 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    [ $tries -le 200 ]
}
echo 'web predict another-secret-of-the-web' >new && mv new secrets
holds "new secrets are taken over" until_code 200 another-secret-of-the-web
gives 401 "$url/v1/models/a" -H "X-API-Key: $web"
echo 'web predict' >new && mv new secrets
tries=0
until grep -q 'secrets: line 1: a line must have three words' serve.err || [ $tries -gt 200 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
holds "a broken file is told: $(cat serve.err)" [ $tries -le 200 ]
gives 200 "$url/v1/models/a" -H "X-API-Key: another-secret-of-the-web"
printf 'web predict %s\n' $web >new && chmod 644 new && mv new secrets
kill -HUP "$pid"
holds "SIGHUP" until_code 200 $web
holds "others can read it: $(cat serve.err)" grep -q 'secrets: others than its owner and group have access to it' serve.err
holds "no secret is in the log" sh -c "! grep -q -e '$web' -e '$ops' -e another-secret serve.err serve.out"
end_server
echo 'web nothing topsecret-0001' >secrets
says_like 1 '*secrets: line 1: the second word must be of predict, admin and metrics*' serve --port 0 --model a=m.onnx --auth-file secrets
says_like 1 '*no-such-file*' serve --port 0 --model a=m.onnx --auth-file no-such-file

# --- limits ---
row="[$(yes 0.5 | head -n 28 | paste -sd,)]"
image="[[$(yes "$row" | head -n 28 | paste -sd,)]]"
{
    printf '{"instances": [%s' "$image"
    yes ",$image" | head -n 220
    echo ']}'
} >body # about 700 KB
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
for tls in "" "--tls-cert cert.pem --tls-key key.pem"; do
    # shellcheck disable=SC2086
    start_server --model a=m.onnx --max-body 1 --max-header 2 --body-budget 8 --threads 2 $tls
    holds "the server listens: $(cat serve.err)" [ -n "$url" ]
    gives 413 -k --http1.1 --data-binary @large "$url/$api"
    gives 431 -k "$url/healthz" -H "x: $(head -c 3000 /dev/zero | tr '\0' v)"
    gives 400 -k "$url/healthz" -H 'X-Request-Timeout-Ms: soon'
    gives 200 -k --http1.1 -d @body "$url/$api"
    mv stdout expected
    # many bodies that share what is enough for one or two of them, and what they are decoded to
    all=""
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        version=--http1.1
        [ $((i % 2)) -eq 0 ] || version=--http2-prior-knowledge
        [ -z "$tls" ] || [ $((i % 2)) -eq 0 ] || version=--http2
        curl -s -k $version --max-time 120 -d @body -o "out.$i" "$url/$api" &
        all="$all $!"
    done
    for one in $all; do wait "$one"; done
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do holds "upload $i: $tls" cmp expected "out.$i"; done
    h2load -n 60 -c 2 -m 10 -d body "$url/$api" >stdout 2>stderr
    holds "h2load: $(grep '^status' stdout)" grep -q 'status codes: 60 2xx' stdout
    end_server
done
finish
