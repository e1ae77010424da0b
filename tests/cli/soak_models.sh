#!/bin/sh
# Loading and unloading a model of 256 MB, 20 times, and 100 new versions in a minute, under traffic: memory is given back,
# no request fails, answers do not wait.
set -eu
HONE_LONG=1 "$HONE_BUILD/serve_test_traffic"
HONE_LONG=1 "$HONE_BUILD/serve_test_reloads"
HONE_LONG=1 exec "$HONE_BUILD/serve_test_faults"
