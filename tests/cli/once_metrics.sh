#!/bin/sh
# The table of metrics in docs/operations.md has every metric that the sources name and no other, and says of each what
# a server says.
. "$(dirname "$0")/lib.sh"
manual=$root/docs/operations.md
sed -n 's/^| `\([a-z_]*\)` | \(counter\|gauge\|histogram\) |.*|$/\1/p' "$manual" | sort >documented
grep -r -o -h --include='*.c' '"\(hone\|process\)_[a-z_]*"' "$root/src/serve" "$root/src/monitor/process.c" | tr -d '"' | sort -u >named
holds "names: $(diff documented named)" cmp documented named

small_model m.onnx
start_server --model a=m.onnx
curl -s -o answer -d '{"instances": [1]}' "$url/v1/models/a:predict"
curl -s "$url/metrics" >metrics
python3 - "$manual" metrics >stdout 2>stderr <<'END'
import re, sys
rows = dict((m[0], m[1:]) for m in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", open(sys.argv[1]).read(), re.M))
text = open(sys.argv[2]).read()
types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
assert len(types) > 20
for name, kind in types.items():
    series = re.findall(r"^%s(?:_bucket)?\{(.*)\} " % name, text, re.M)
    labels = re.findall(r'(\w+)="', series[0]) if series else []
    told = (kind, ", ".join(l for l in labels if l != "le"), helps[name])
    row = (rows[name][0], rows[name][1] if series else told[1], rows[name][2])
    if told != row:
        print("the server says", told, "the manual", row)
print("compared", len(types))
END
holds "what is told of them" grep -q -x 'compared [0-9]*' stdout
holds "and nothing else" [ "$(wc -l <stdout)" -eq 1 ]
finish
