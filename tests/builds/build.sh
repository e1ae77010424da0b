#!/bin/sh
# build.sh KIND: builds the part for inference (HONE_PARTS=inference).
#   inference        for this machine: what it depends on, exports, runs and refuses
#   aarch64, armhf   for 64-bit and 32-bit ARM, static: its tests pass under qemu-user
#   musl             for this machine with musl, static: its tests pass
# The libraries of the latter are made here of sources that scripts/packages.sh fetches into build/peers/sources.
set -eu
kind=${1:?usage: build.sh KIND}
cd "$(dirname "$0")/../.."
dir=${HONE_BUILD:-$PWD/build}/builds/$kind
skip() {
    echo "skipped: $*"
    exit 77
}
need() { command -v "$1" >/dev/null || skip "$1 is not installed"; }

cc='' run='' options=''
case $kind in
inference) ;;
aarch64)
    cc=aarch64-linux-gnu-gcc run="qemu-aarch64-static;-cpu;max"
    options="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64"
    ;;
armhf)
    cc=arm-linux-gnueabihf-gcc run="qemu-arm-static"
    options="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=armv7l"
    ;;
musl) cc=musl-gcc ;;
*)
    echo "build.sh: no kind $kind" >&2
    exit 2
    ;;
esac

# library NAME FILE FLAG...: lib/libNAME.a of one source file, and what pkg-config says of it.
library() {
    name=$1 file=$2
    shift 2
    "$cc" -O2 -g "$@" -c "$file" -o "$dir/lib/$name.o"
    rm -f "$dir/lib/lib$name.a"
    ar rcs "$dir/lib/lib$name.a" "$dir/lib/$name.o"
    printf 'Name: %s\nDescription: %s\nVersion: 1\nLibs: -L%s/lib -l%s\nCflags: -I%s/include\n' \
        "$name" "$name" "$dir" "$name" "$dir" >"$dir/lib/$pc.pc"
}

if [ -n "$cc" ]; then
    need "$cc"
    [ -z "$run" ] || need "${run%%;*}"
    sources=$PWD/build/peers/sources
    [ -e "$sources/protobuf-c" ] && [ -e "$sources/cmocka" ] || skip "the sources of protobuf-c and cmocka are not here"
    mkdir -p "$dir/lib" "$dir/include/protobuf-c"
    cp "$sources"/cmocka/include/*.h "$dir/include"
    cp "$sources/protobuf-c/protobuf-c/protobuf-c.h" "$dir/include/protobuf-c"
    pc=libprotobuf-c library protobuf-c "$sources/protobuf-c/protobuf-c/protobuf-c.c" -fPIC -I"$dir/include"
    pc=cmocka library cmocka "$sources/cmocka/src/cmocka.c" -I"$dir/include" -DHAVE_STRUCT_TIMESPEC -DHAVE_CLOCK_GETTIME \
        -DHAVE_SIGLONGJMP -DHAVE_STRSIGNAL -DHAVE_MALLOC_H -DHAVE_INTTYPES_H -DHAVE_UNISTD_H -DHAVE_STRINGS_H -DHAVE_SIGNAL_H \
        -DHAVE_TIME_H -DHAVE_GCC_THREAD_LOCAL_STORAGE
    export PKG_CONFIG_LIBDIR="$dir/lib"
    options="$options -DCMAKE_C_COMPILER=$cc -DCMAKE_EXE_LINKER_FLAGS=-static -DCMAKE_CROSSCOMPILING_EMULATOR=$run"
else
    cc=${CC:-cc}
    mkdir -p "$dir"
    options="-DCMAKE_C_COMPILER=$cc -DHONE_TESTS=OFF"
fi
if command -v ccache >/dev/null; then options="$options -DCMAKE_C_COMPILER_LAUNCHER=ccache"; fi

# shellcheck disable=SC2086 # a list of words
cmake -S . -B "$dir" -G Ninja -DHONE_PARTS=inference -DCMAKE_BUILD_TYPE=Release -DHONE_WERROR=ON $options \
    >"$dir/configure.log" 2>&1 || { cat "$dir/configure.log"; exit 1; }
cmake --build "$dir" -j "${JOBS:-$(nproc)}" >"$dir/build.log" 2>&1 || { tail -n 60 "$dir/build.log"; exit 1; }
if [ "$kind" != inference ]; then
    HONE_EMULATOR=$(echo "$run" | tr ';' ' ')
    export HONE_EMULATOR # for tests that start programs
    ctest --test-dir "$dir" -j "${JOBS:-$(nproc)}" --output-on-failure --no-tests=error
    exit
fi

# Only the C library and libprotobuf-c are needed.
for file in hone libhone.so; do
    more=$(ldd "$dir/$file" | grep -v -E '^\s*(linux-vdso|lib(c|m|pthread|protobuf-c)\.so|/.*/ld-linux)' || true)
    [ -z "$more" ] || { printf '%s needs more:\n%s\n' "$file" "$more"; exit 1; }
    strip -o "$dir/stripped" "$dir/$file"
    echo "$file stripped: $(stat -c %s "$dir/stripped") bytes"
done
rm -rf "$dir/installed"
cmake --install "$dir" --prefix "$dir/installed" >/dev/null
tests/house/check_symbols.sh "$dir" "$dir/installed/include/hone"

# One model, and one with an operator that is left out.
cd "$dir"
cat >model.txt <<'END'
<ir_version: 8, opset_import: ["": 17]>
sums (float[n, 2] x) => (float[n, 2] y) <float[2, 2] w = {1, 2, 3, 4}> { y = MatMul(x, w) }
END
cat >picture.txt <<'END'
<ir_version: 9, opset_import: ["": 20]>
picture (uint8[n] x) => (uint8[h, w, c] y) { y = ImageDecoder(x) }
END
{
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"
    printf '\000\000\200\077\000\000\000\100' # 1 2
} >x.npy
is() { [ "$1" = "$2" ] || { printf 'not "%s" but "%s"\n' "$2" "$1"; exit 1; }; }
is "$(installed/bin/hone run model.txt --input x=@x.npy)" "y: float32 [1, 2] 7 10"
installed/bin/hone run model.txt --input x=@x.npy --output y=@y.npy
is "$(tail -c 8 y.npy | od -An -tx1 | tr -d ' ')" 0000e04000002041
installed/bin/hone inspect model.txt | grep -q '^MatMul  *1$'
installed/bin/hone bench model.txt --seconds 0.01 | grep -q '^[0-9,]* runs: median '
is "$(installed/bin/hone run picture.txt 2>&1)" \
    "hone run: picture.txt: not supported: operator ImageDecoder of ai.onnx 20, which this build of Hone leaves out (node y)"
cat >use.c <<'END'
#include <hone/arrays.h>
#include <hone/session.h>
int main(void) {
    hone_error err;
    hone_graph *graph;
    hone_model *model;
    if (hone_graph_load("model.txt", &graph, &err) || hone_model_take(graph, NULL, &model, &err)) return 1;
    hone_model_free(model);
    return 0;
}
END
# shellcheck disable=SC2046
"$cc" use.c -o use $(PKG_CONFIG_PATH=$(dirname "$(find "$PWD/installed" -name hone.pc)") pkg-config --cflags --libs hone) \
    -Wl,-rpath,"$(dirname "$(find "$PWD/installed" -name libhone.so)")"
./use
