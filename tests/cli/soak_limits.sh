#!/bin/sh
# The limits of a server with thousands of clients that dawdle.
HONE_LONG=1 exec "$HONE_BUILD/serve_test_limits"
