#!/bin/sh
# bench/serve/run.py: its own clients get right answers and its counts come out even. What is measured is not looked at.
. "$(dirname "$0")/lib.sh"
for tool in python3 h2load; do command -v $tool >/dev/null || exit 77; done
python3 "$root/bench/serve/run.py" --build "$HONE_BUILD" --runs 1 --seconds 0.1 --idle 20 --json \
    start idle-http1 idle-h2c >stdout 2>stderr
status=$?
holds "exit status 0, not $status" [ $status -eq 0 ]
json 'd["broken"] == []'
json 'sorted({r["case"] for r in d["results"]}) == ["idle-h2c", "idle-http1", "start"]'
json 'all(r["hone"] > 0 for r in d["results"])'
python3 "$root/bench/serve/run.py" --build "$HONE_BUILD" nothing >stdout 2>stderr
status=$?
holds "an unknown case: exit status 2, not $status" [ $status -eq 2 ]
finish
