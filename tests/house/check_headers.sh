#!/bin/sh
# Each public header compiles alone, strictly: as C11 and as C++.
set -eu
cd "$(dirname "$0")/../.."
failed=0
count=0
for header in include/hone/*.h; do
    name=hone/$(basename "$header")
    count=$((count + 1))
    printf '#include <%s>\n' "$name" |
        ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c - || failed=1
    printf '#include <%s>\n' "$name" |
        ${CXX:-c++} -std=c++11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ - || failed=1
    # Examples and users include a header twice by way of others.
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$name" "$name" |
        ${CC:-cc} -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c - || failed=1
done
[ "$count" -gt 0 ] || { echo "no public headers found"; failed=1; }
exit $failed
