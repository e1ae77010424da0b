#!/bin/sh
# Installs to a new place and builds the examples against it from outside of the tree: with the CMake package, shared
# and static, and with pkg-config. Each must give the class that a real image has, and the server must serve.
. "$(dirname "$0")/lib.sh"
: "${HONE_BUILD:?the build directory}"
CC=${CC:-cc}
need_fashion
works train --model mlp:784-32-10 --data fashion-mnist --train-samples 20000 --epochs 2 --out m.onnx
test_image 0 | npy boot.npy '<f4' '1, 1, 28, 28'
test_image 2 | npy trouser.npy '<f4' '1, 1, 28, 28'

holds "cmake --install" cmake --install "$HONE_BUILD" --prefix "$work/here"
# An installed tree can be moved.
mv here prefix
lib=$(dirname "$(find prefix -name libhone.so)")
for file in include/hone/session.h bin/hone; do holds "$file is installed" [ -e prefix/$file ]; done
for file in libhone.a libhone.so pkgconfig/hone.pc cmake/hone/honeConfig.cmake; do
    holds "$file is installed" [ -e "$lib/$file" ]
done
holds "the installed command runs" prefix/bin/hone version

predicts() { # HOW PROGRAM...
    how=$1
    shift
    holds "$how: an ankle boot" [ "$("$@" m.onnx boot.npy 2>&1)" = "9 Ankle boot" ]
    holds "$how: a trouser" [ "$("$@" m.onnx trouser.npy 2>&1)" = "1 Trouser" ]
    holds "$how: a missing model is an error" sh -c '! "$@" none.onnx boot.npy' sh "$@"
}

cp -r "$root/examples" outside
build_with_cmake() { # DIRECTORY OPTION...
    dir=$1
    shift
    cmake -G Ninja -S outside -B "$dir" -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$work/prefix" "$@" && cmake --build "$dir"
}
holds "the CMake package" build_with_cmake with-cmake
predicts "CMake, shared" with-cmake/predict
holds "the CMake package, static" build_with_cmake with-static -DHONE_STATIC=ON
predicts "CMake, static" with-static/predict

if command -v curl >/dev/null; then
    with-static/serve boots m.onnx 0 >serve.out 2>serve.err &
    pid=$!
    children=$pid
    tries=0
    until grep -q '^listening at ' serve.out || [ $tries -gt 400 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    url=$(sed -n 's/^listening at //p' serve.out)
    holds "the example serves: $(cat serve.err)" curl -sf "$url/v2/models/boots/ready"
    kill -TERM "$pid"
    wait "$pid"
    holds "and ends well" [ $? -eq 0 ]
    children=""
fi

export PKG_CONFIG_PATH="$work/$lib/pkgconfig"
# shellcheck disable=SC2046
holds "pkg-config" $CC -Wall -Werror outside/predict.c -o with-pkg-config $(pkg-config --cflags --libs hone)
predicts "pkg-config, shared" env LD_LIBRARY_PATH="$lib" ./with-pkg-config
# shellcheck disable=SC2046
holds "pkg-config --static" $CC outside/predict.c -o with-pkg-config-static $(pkg-config --cflags hone) \
    -L"$lib" -Wl,-Bstatic -lhone -Wl,-Bdynamic $(pkg-config --static --libs hone | sed 's/-lhone//')
predicts "pkg-config, static" ./with-pkg-config-static
holds "its version" [ "$(pkg-config --modversion hone)" = "$("$HONE" version | sed -n 's/^hone //p')" ]
finish
