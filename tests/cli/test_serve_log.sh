#!/bin/sh
# The access log, traces and TensorFlow Serving's metrics, as the command has them.
. "$(dirname "$0")/lib.sh"
small_model m.onnx
cat >monitoring.config <<END
prometheus_config {
  enable: true,
  path: "/tf/metrics"
}
END
start_server --model a=m.onnx --access-log access.log --monitoring_config_file monitoring.config
predict="$url/v1/models/a:predict"
perl -e 'print "{\"instances\": [[", "[" . join(",", map { "[" . join(",", (0.5) x 28) . "]" } 1 .. 28) . "]", "]]}"' >body
id=4bf92f3577b34da6a3ce929d0e0e4736

# lines FILE N: the file has N lines, soon.
lines() {
    tries=0
    until [ "$(cat "$1" 2>/dev/null | wc -l)" -ge "$2" ] || [ $tries -gt 600 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    holds "$1 has $2 lines" [ "$(cat "$1" | wc -l)" -eq "$2" ]
}

# traces
curl -s -D head -o answer -d @body -H "traceparent: 00-$id-00f067aa0ba902b7-01" -H 'tracestate: a=1' "$predict"
holds "the trace goes on: $(cat head)" grep -q -E "^traceparent: 00-$id-[0-9a-f]{16}-01.\$" head
holds "with a span of its own" sh -c "! grep -q 00f067aa0ba902b7 head"
holds "and its state" grep -q '^tracestate: a=1.$' head
curl -s -D head -o answer -d @body -H "traceparent: 00-$id-0000000000000000-01" -H 'tracestate: a=1' "$predict"
holds "a malformed one is ignored" sh -c "! grep -q ^trace head"
printf '\0\0\0\0\0' >message
curl -s --http2-prior-knowledge -D head -o answer --data-binary @message -H 'content-type: application/grpc' \
    -H 'te: trailers' -H "traceparent: 00-$id-00f067aa0ba902b7-00" "$url/grpc.health.v1.Health/Check"
holds "gRPC too: $(cat head)" grep -q -E "^traceparent: 00-$id-[0-9a-f]{16}-00.\$" head
curl -s -o answer -d '{"instances": 1}' "$url/v1/models/none%22%0A:predict"

# the log
lines access.log 4
sed -n 1p access.log >line
json "d['path'] == '/v1/models/a:predict' and d['model'] == 'a' and d['version'] == 1 and d['status'] == 200" line
json "d['bytes_in'] == $(($(wc -c <body))) and d['bytes_out'] > 50 and d['method'] == 'POST' and d['protocol'] == 'HTTP/1.1'" line
json "d['trace_id'] == '$id' and d['parent_id'] == '00f067aa0ba902b7' and len(d['span_id']) == 16" line
json "set(d['ms']) >= {'total', 'read', 'decode', 'queue', 'compute', 'serialize'} and d['remote'].startswith('127.0.0.1:')" line
json "sum(d['ms'].values()) <= 2 * d['ms']['total']" line
sed -n 2p access.log >line
json "'trace_id' not in d" line
sed -n 3p access.log >line
json "d['grpc_status'] == 0 and d['status'] == 200 and d['protocol'] == 'HTTP/2' and d['trace_id'] == '$id'" line
sed -n 4p access.log >line
json "d['status'] == 404 and d['reason'] == 'not_found' and 'none' in d['error'] and 'model' not in d" line

# logrotate
mv access.log access.log.1
kill -HUP "$pid"
tries=0
until [ -e access.log ] || [ $tries -gt 600 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
curl -s -o answer "$url/healthz"
lines access.log 1
lines access.log.1 4
holds "no line was lost" sh -c "curl -s $url/metrics | grep -q '^hone_access_log_dropped_total 0\$'"

# TensorFlow Serving's metrics
curl -s "$url/tf/metrics" >stdout
prints ':tensorflow:serving:request_count{model_name="a",status="OK"} 2'
prints ':tensorflow:serving:request_latency_count{model_name="a",API="Predict",entrypoint="REST"} 2'
prints ':tensorflow:serving:runtime_latency_count{model_name="a",API="Predict",runtime="Hone"} 2'
code=$(curl -s -o answer -w '%{http_code}' "$url/monitoring/prometheus/metrics")
holds "not at the usual path: $code" [ "$code" = 404 ]
kill -TERM "$pid"
wait "$pid"
holds "the server ends well" [ $? -eq 0 ]

# with a port for administration they are there only, wherever they are
start_server --model a=m.onnx --admin_port 0 --monitoring_config_file monitoring.config
admin=$(sed -n 's,^administration at ,,p' serve.out)
holds "a port for administration: $(cat serve.out)" curl -sf "$admin/tf/metrics"
for path in tf/metrics metrics; do
    code=$(curl -s -o answer -w '%{http_code}' "$url/$path")
    holds "$path: 403, not $code" [ "$code" = 403 ]
done
kill -TERM "$pid"
wait "$pid"

# every 3rd, and errors
start_server --model a=m.onnx --access-log - --access-log-sample 3
for _ in 1 2 3 4 5 6 7; do curl -s -o answer "$url/healthz"; done
curl -s -o answer "$url/nothing"
kill -TERM "$pid"
wait "$pid"
children=""
holds "3 of 7, and the error: $(cat serve.out)" [ "$(grep -c '^{"time"' serve.out)" -eq 4 ]
holds "the error" grep -q '"path":"/nothing","status":404' serve.out

says_like 1 "hone serve: *nowhere/log: can't be opened*" serve --port 0 --model a=m.onnx --access-log nowhere/log
echo 'prometheus_config { enabled: true }' >monitoring.config
says_like 1 'hone serve: monitoring.config: *"enabled"*' serve --port 0 --model a=m.onnx --monitoring_config_file monitoring.config
finish
