#!/bin/sh
# deploy/container/Containerfile, without a container: what it copies is enough to configure a build, what it installs has
# every library that the command needs, and the command takes what the image starts.
. "$(dirname "$0")/lib.sh"
: "${HONE_BUILD:?the build directory}"
file=$root/deploy/container/Containerfile
# one instruction a line, without comments
sed -e '/^ *#/d' -e ':more' -e '/\\$/{N;s/\\\n//;b more' -e '}' "$file" | sed '/^ *$/d' >lines
grep -v -E '^(FROM|WORKDIR|COPY|RUN|USER|EXPOSE|STOPSIGNAL|ENTRYPOINT|CMD) ' lines >others
holds "known instructions only: $(cat others)" [ ! -s others ]

# the build: of a tree with nothing but what is copied
mkdir tree
sed -n 's/^COPY \([^-].*\)/\1/p' lines >copies
while read -r words; do
    # shellcheck disable=SC2086
    set -- $words
    while [ $# -gt 1 ]; do
        for to in $words; do :; done
        mkdir -p "tree/$(dirname "$to/x")"
        if [ -d "$root/$1" ]; then cp -r "$root/$1/." "tree/$to"; else cp "$root/$1" "tree/$to"; fi
        shift
    done
done <copies
cached() { sed -n "s/^$1:[A-Z]*=//p" "$HONE_BUILD/CMakeCache.txt"; }
configure() {
    cmake -S tree -B built -G Ninja -DHONE_TESTS=OFF -DCMAKE_BUILD_TYPE=Release \
        "-DLLHTTP_SOURCE_DIR=$(cached LLHTTP_SOURCE_DIR)" "-DLLHTTP_INCLUDE_DIR=$(cached LLHTTP_INCLUDE_DIR)" >configure.log 2>&1
}
holds "it can be configured: $(tail -n 5 configure.log 2>/dev/null)" configure
holds "and nothing is missing" cmake --build built -- -n hone_cli
for option in $(grep -o -e '-DHONE_[A-Z]*' lines); do
    holds "$option is an option" grep -q "^option(${option#-D} " "$root/CMakeLists.txt"
done

# the image: Debian 12's packages, by what is installed here
if command -v dpkg >/dev/null && grep -q '^VERSION_CODENAME=bookworm' /etc/os-release 2>/dev/null; then
    grep '^RUN apt-get' lines | tr ' ' '\n' | grep '^[a-z].*[0-9]' | sort -u >installed
    holds "it installs something" [ "$(wc -l <installed)" -gt 5 ]
    lib=$(dirname "$(readlink -f "$(ldd "$HONE" | sed -n 's/.*libhone.so.0 => \([^ ]*\) .*/\1/p')")")
    readelf -d "$HONE" "$lib/libhone.so.0" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u >needed
    while read -r library; do
        case $library in libc.so* | libm.so* | ld-linux* | libhone.so* | libpthread.so* | lib?san.so*) continue ;; esac
        package=$(dpkg -S "*/$library" 2>/dev/null | sed -n 's/^\([^:]*\):.*/\1/p' | head -n 1)
        holds "$library of $package is installed" grep -q -x "$package" installed
    done <needed
    while read -r package; do
        holds "$package is needed" sh -c "dpkg -L $package | sed 's,.*/,,' | grep -q -x -F -f needed"
    done <installed
fi

# what is started
start=$(sed -n 's/^CMD \[\(.*\)\]/\1/p' lines | tr -d '",')
needs "it starts something" [ "${start%% *}" = serve ]
small_model m.onnx
mkdir -p models/a/1
cp m.onnx models/a/1/model.onnx
# shellcheck disable=SC2046,SC2086 # words
start_server $(echo ${start#serve} | sed "s,/models,$work/models,")
holds "it serves: $(cat serve.err)" curl -sf "http://127.0.0.1:${url##*:}/v2/models/a/ready"
kill -"$(sed -n 's/^STOPSIGNAL SIG//p' lines)" "$pid"
wait "$pid"
holds "and ends by its signal" [ $? -eq 0 ]
children=""
holds "its port is the one that it has unless told otherwise" sh -c "'$HONE' serve --help | grep -q 'default $(sed -n 's/^EXPOSE //p' lines)'"
finish
