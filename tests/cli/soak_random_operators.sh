#!/bin/sh
# As the short test, for long.
exec "$(dirname "$0")/once_random_operators.sh" 5000
