#!/bin/sh
# REST over cleartext HTTP/2, on the same port, with curl and nghttp2's clients: same answers, every request counted.
. "$(dirname "$0")/lib.sh"
for tool in curl nghttp h2load; do command -v $tool >/dev/null || exit 77; done
small_model m.onnx
start_server --model a=m.onnx
h2="curl -s --http2-prior-knowledge"
image='[[['$(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28; do
    printf '%s[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1.0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1.0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.%d]' \
        "$([ "$i" -eq 1 ] || echo ,)" "$i"
done)']]]'
image=$(echo "$image" | sed 's/^\[\[\[/[[/; s/\]\]\]$/]]/')
echo "{\"instances\": [$image]}" >body
# 1,000 images, 3 MB: more than any window
{
    printf '{"instances": ['
    yes "$image," | head -n 999
    echo "$image]}"
} >large
for name in body large; do
    curl -s -d @$name "$url/v1/models/a:predict" >h1.json
    $h2 -o stdout -w '%{http_version} %{http_code}' -d @$name "$url/v1/models/a:predict" >code
    holds "$name: $(cat code)" [ "$(cat code)" = "2 200" ]
    holds "$name: as by HTTP/1.1" cmp h1.json stdout
    json '"predictions" in d'
done
[ "$(wc -c <large)" -gt 2000000 ] && pass || fail "the large body is small"
$h2 -I "$url/v1/models/a" >head
holds "HEAD" grep -q '^content-length: [1-9]' head
code=$($h2 -o stdout -w '%{http_code}' "$url/v1/models/nobody")
holds "unknown model: 404, not $code" [ "$code" = 404 ]
code=$($h2 -o stdout -w '%{http_code}' -H "x: $(head -c 30000 /dev/zero | tr '\0' v)" "$url/healthz")
holds "a large head: 431, not $code" [ "$code" = 431 ]
code=$($h2 -o stdout -w '%{http_code}' -H 'Expect: 100-continue' -d @body "$url/v1/models/a:predict")
holds "expectation: 200, not $code" [ "$code" = 200 ]
nghttp -d body "$url/v1/models/a:predict" >stdout 2>stderr
json '"predictions" in d'
nghttp -v -b 100 "$url/v1/models/a" "$url/healthz" "$url/readyz" >stdout 2>stderr
holds "nghttp with padding" [ "$(grep -c ':status: 200' stdout)" = 3 ]

ok() { curl -s "$url/metrics" | sed -n 's/^hone_requests_total{model="a",method="predict",code="200"} //p'; }
before=$(ok)
h2load -n 3000 -c 6 -m 25 -d body "$url/v1/models/a:predict" >stdout 2>stderr
holds "h2load: $(grep '^requests' stdout)" grep -q 'requests: 3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed' stdout
holds "h2load: $(grep '^status' stdout)" grep -q 'status codes: 3000 2xx' stdout
holds "all of them counted: $before, $(ok)" [ $(($(ok) - before)) -eq 3000 ]

before=$(ok)
h2load -D 600 -c 4 -m 10 -d body "$url/v1/models/a:predict" >load.out 2>load.err &
load=$!
children="$children $load"
busy() { [ $(($(ok) - before)) -gt 100 ]; }
until_so busy
kill -TERM "$pid"
wait "$pid"
status=$?
children=""
holds "SIGTERM under load: exit status 0, not $status" [ $status -eq 0 ]
kill $load 2>/dev/null
wait $load 2>/dev/null
holds "nothing listens any more" sh -c "! curl -s $url/healthz"
finish
