#!/bin/sh
# Loading and unloading a model of 256 MB, 20 times, under traffic: memory is given back, answers do not wait.
set -eu
HONE_LONG=1 exec "$HONE_BUILD/serve_test_traffic"
