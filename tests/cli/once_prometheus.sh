#!/bin/sh
# deploy/'s alerts: right by promtool, tested by promtool, and seen firing in a real Prometheus over a real server.
. "$(dirname "$0")/lib.sh"
need_peer promtool --version
rules=$root/deploy/prometheus
cp "$rules"/* .
for check in "check rules alerts.yml" "check config prometheus.yml" "test rules alerts_test.yml"; do
    # shellcheck disable=SC2086
    peer promtool $check >stdout 2>stderr
    status=$?
    holds "promtool $check" [ $status -eq 0 ]
done
# each alert has its test, and its paragraph in the manual
for alert in $(sed -n 's/^ *- alert: //p' alerts.yml); do
    holds "$alert is tested" sh -c "grep -A 3 'alertname: $alert\$' alerts_test.yml | grep -q 'exp_labels\|exp_alerts:\$'"
    holds "$alert is explained" grep -q "^| \`$alert\` |" "$root/docs/operations.md"
done
# what they speak of exists
for metric in $(grep -o -h 'hone_[a-z_]*\|process_[a-z_]*' alerts.yml | sort -u); do
    case $metric in *_bucket | *_count | *_sum) metric=${metric%_*} ;; esac
    holds "$metric is a metric" grep -q "^| \`$metric\` |" "$root/docs/operations.md"
done

need_peer prometheus --version
mkdir -p models/a/1
small_model models/a/1/model.onnx
start_server --repository models --file_system_poll_wait_seconds 0
needs "the server listens" [ -n "$url" ]
sed -e 's/interval: 15s/interval: 250ms/' -e '/^alerting:/,/^$/d' -e "s/targets: .*/targets: [\"${url#http://}\"]/" \
    "$rules/prometheus.yml" >prometheus.yml
sed 's/for: .*/for: 0s/' "$rules/alerts.yml" >alerts.yml
holds "the shortened configuration is good" peer promtool check config prometheus.yml
start_peer prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address=127.0.0.1:0
tries=0
until prometheus=$(sed -n 's/.*msg="Listening on" address=\(127.0.0.1:[0-9]*\).*/\1/p' prometheus.log) && [ -n "$prometheus" ] ||
    [ $tries -gt 600 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
needs "Prometheus listens: $(tail -n 3 prometheus.log)" [ -n "$prometheus" ]

# value EXPRESSION: of its first series.
value() {
    curl -s -G --data-urlencode "query=$1" "http://$prometheus/api/v1/query" |
        python3 -c 'import json, sys; r = json.load(sys.stdin)["data"]["result"]; print(r[0]["value"][1] if r else "")'
}
# becomes EXPRESSION VALUE: soon.
becomes() {
    tries=0
    until [ "$(value "$1")" = "$2" ] || [ $tries -gt 300 ]; do
        sleep 0.2
        tries=$((tries + 1))
    done
    needs "$1 becomes $2, not $(value "$1")" [ $tries -le 300 ]
}
becomes 'up{job="hone"}' 1
becomes 'hone_ready' 1
becomes 'hone_model_loads_total{model="a",result="ok"}' 1
becomes 'count(ALERTS) or vector(0)' 0
# every question of the dashboard is one that Prometheus understands, and those that need no traffic have an answer
python3 - "$root/deploy/grafana/hone.json" "http://$prometheus" >stdout 2>stderr <<'END'
import json, sys, urllib.parse, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for panel in json.load(open(sys.argv[1]))["panels"]:
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", "1m")
        for name in ("job", "instance", "model"):
            query = query.replace("$" + name, ".*")
        try:
            url = sys.argv[2] + "/api/v1/query?" + urllib.parse.urlencode({"query": query})
            found = len(json.load(direct.open(url, timeout=60))["data"]["result"])
            print("answered" if found else "empty", panel["title"])
        except OSError as e:
            print("refused", query, e)
END
holds "the dashboard's questions" sh -c "[ \"\$(grep -c answered stdout)\" -ge 7 ] && ! grep -q refused stdout"

# a version that can't be loaded
mkdir models/a/.new
echo nonsense >models/a/.new/model.onnx
mv models/a/.new models/a/2
kill -HUP "$pid"
becomes 'count(ALERTS{alertname="HoneModelLoadFailed",alertstate="firing"})' 1
holds "version 1 serves on" curl -sf "$url/v1/models/a/versions/1/metadata"
# it is gone
kill -KILL "$pid"
wait "$pid" 2>/dev/null
becomes 'count(ALERTS{alertname="HoneDown",alertstate="firing"})' 1
curl -s "http://$prometheus/api/v1/alerts" >stdout
json 'any(a["annotations"]["summary"].endswith("does not answer Prometheus") for a in d["data"]["alerts"])'
kill "$peer_pid"
wait "$peer_pid" 2>/dev/null
children=""
finish
