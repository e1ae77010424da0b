#!/bin/sh
# `hone serve` over TLS, with curl, openssl's client and grpcio: both protocols, clients' certificates, new certificates.
. "$(dirname "$0")/lib.sh"
for tool in curl openssl; do command -v $tool >/dev/null || exit 77; done
small_model m.onnx

# ca NAME: a certificate that signs others.
ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" -keyout "$1.key" \
        -out "$1.crt" 2>openssl.err
}
# certificate NAME CA [KIND OPTION...]: one that CA has signed.
certificate() {
    name=$1 signer=$2
    shift 2
    [ $# -gt 0 ] || set -- ec -pkeyopt ec_paramgen_curve:P-256
    openssl req -new -newkey "$@" -nodes -subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>openssl.err &&
        echo 'subjectAltName=DNS:localhost,IP:127.0.0.1' >extensions &&
        openssl x509 -req -in "$name.csr" -CA "$signer.crt" -CAkey "$signer.key" -CAcreateserial -days 30 \
            -extfile extensions -out "$name.crt" 2>openssl.err
}
ca ca && ca stranger && certificate server ca && certificate client ca && certificate other ca rsa:2048 || {
    fail "no certificates: $(cat openssl.err)"
    finish
}

start_server --model a=m.onnx --tls-cert server.crt --tls-key server.key --admin_port 0 --file_system_poll_wait_seconds 0
holds "https is told: $url" [ "${url%%:*}" = https ]
port=${url##*:}
admin=$(sed -n 's/^administration at //p' serve.out)
trusting="curl -s --cacert ca.crt"
for version in 1.1 2; do
    got=$($trusting --http$version -o stdout -w '%{http_version} %{http_code} %{ssl_verify_result}' "$url/v1/models/a")
    holds "curl: $got" [ "$got" = "$version 200 0" ]
    json 'd["model_version_status"][0]["state"] == "AVAILABLE"'
done
for version in 1.2 1.3; do
    holds "TLS $version" $trusting --tlsv$version --tls-max $version "$url/healthz"
done
holds "TLS 1.1 is refused" sh -c "! curl -s --cacert ca.crt --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 $url/healthz"
holds "nobody trusts a stranger" sh -c "! curl -s --cacert stranger.crt $url/healthz"
awk 'BEGIN { printf "{\"instances\": ["; for (i = 0; i < 500; i++) { printf "%s[[", i ? "," : "";
    for (k = 0; k < 28; k++) { printf "%s[", k ? "," : ""; for (j = 0; j < 28; j++) printf "%s0.%d", j ? "," : "", i + j; printf "]" }
    printf "]]" } print "]}" }' >large
for version in 1.1 2; do
    $trusting --http$version -d @large "$url/v1/models/a:predict" >answer$version.json
    json 'len(d["predictions"]) == 500' answer$version.json
done
holds "both protocols give the same" cmp answer1.1.json answer2.json
code=$(curl -s -o stdout -w '%{http_code}' "http://127.0.0.1:$port/healthz")
holds "cleartext gets 400, not $code" [ "$code" = 400 ]
json 'd["error"] == "This port speaks TLS: use https:// here"'

talk="openssl s_client -connect 127.0.0.1:$port -CAfile ca.crt -verify_return_error"
printf 'GET /healthz HTTP/1.0\r\n\r\n' | $talk -quiet -alpn http/1.1 >stdout 2>stderr
prints "ok"
$talk -alpn h2,http/1.1 </dev/null >stdout 2>stderr
prints "ALPN protocol: h2"
prints "Verify return code: 0 (ok)"
$talk -alpn foo </dev/null >stdout 2>stderr
holds "no protocol in common" grep -q "no application protocol" stderr
$talk -tls1_2 -sess_out session </dev/null >stdout 2>stderr
$talk -tls1_2 -sess_in session </dev/null >stdout 2>stderr
prints "Reused, TLSv1.2"

# new certificates, of another kind; the port for administration has them as well
cp other.key server.key
cp other.crt server.crt
kill -HUP "$pid"
tries=0
until $talk </dev/null 2>/dev/null | grep -q 'subject=CN *= *other' || [ $tries -gt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
holds "the new certificate is shown" sh -c "$talk </dev/null 2>stderr | grep -q 'subject=CN *= *other'"
echo junk >server.crt
kill -HUP "$pid"
tries=0
until $trusting "$admin/metrics" | grep -q '^hone_tls_certificate_last_reload_successful 0$' || [ $tries -gt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
holds "a broken one is not taken" $trusting "$url/healthz"
holds "but logged" grep -q 'the TLS certificate stays as it was: server.crt: no certificate can be read from it' serve.err
$trusting "$admin/metrics" >metrics
holds "handshakes are counted" grep -q '^hone_tls_handshakes_total{result="unsupported"} [1-9]' metrics
holds "and when the certificate ends" grep -q '^hone_tls_certificate_not_after_seconds [1-9]' metrics
kill -TERM "$pid"
wait "$pid"
status=$?
children=""
holds "SIGTERM: exit status 0, not $status" [ $status -eq 0 ]

# clients need certificates
cp other.crt server.crt
start_server --model a=m.onnx --tls-cert server.crt --tls-key server.key --tls-client-ca ca.crt
port=${url##*:}
holds "none" sh -c "! curl -s --cacert ca.crt $url/healthz"
holds "a stranger's" sh -c "! curl -s --cacert ca.crt --cert stranger.crt --key stranger.key $url/healthz"
holds "a good one" $trusting --cert client.crt --key client.key "$url/healthz"
if [ -n "${HONE_PYTHON:-}" ]; then
    timeout 240 "$HONE_PYTHON" "$root/tests/serve/peer_grpc.py" "$port" a . >stdout 2>stderr
    holds "grpcio: $(tail -n 5 stdout stderr)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' stdout
fi
kill -TERM "$pid"
wait "$pid"
children=""

says 2 "hone serve: --tls-cert needs --tls-key" serve --model a=m.onnx --tls-cert server.crt
says 2 "hone serve: --tls-client-ca needs --tls-cert" serve --model a=m.onnx --tls-client-ca ca.crt
says 1 "hone serve: none: cannot open: No such file or directory" \
    serve --port 0 --model a=m.onnx --tls-cert none --tls-key server.key
says 1 "hone serve: client.key: the key is not that of the certificate in server.crt" \
    serve --port 0 --model a=m.onnx --tls-cert server.crt --tls-key client.key
finish
