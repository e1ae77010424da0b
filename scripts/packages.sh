# The packages of Debian 12 and Ubuntu 24.04 that Hone needs, and how they get here. Sourced by demo.sh and test.sh.

packages_build="gcc libc6-dev cmake ninja-build pkg-config zlib1g-dev libprotobuf-c-dev protobuf-c-compiler libzip-dev
    libjansson-dev libevent-dev libnghttp2-dev libssl-dev libpng-dev libjpeg-dev libwebp-dev libopenjp2-7-dev libutf8proc-dev
    libsndfile1-dev libzstd-dev"
packages_demo="dataset-fashion-mnist curl"
packages_demo_lm="curl python3 python3-pip"
packages_test="dataset-fashion-mnist curl openssl nghttp2-client git g++ binutils libcmocka-dev python3 python3-venv libonnx-testdata
    libopenmpi-dev openmpi-bin"
packages_long="python3-torch chromium"
packages_builds="gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross musl-tools qemu-user-static"
sources_builds="protobuf-c cmocka"
# Services are not installed, they would start: their packages are only unpacked.
packages_peers="prometheus
    liblua5.3-0 libopentracing1 libopentracing-c-wrapper0 haproxy
    libseccomp2 libapparmor1 libip4tc2 libkmod2 libcap2 libsystemd-shared systemd"

say() { printf '\n== %s\n' "$*"; }

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        sudo DEBIAN_FRONTEND=noninteractive "$@"
    else
        echo "this needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

# need_packages NAME...: installs those that are missing, after saying so.
need_packages() {
    missing=""
    for package in "$@"; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing with apt:$missing"
    as_root apt-get -qq update || echo "apt-get update failed; going on with the lists that are here" >&2
    # shellcheck disable=SC2086 # a list of words
    as_root apt-get -qq -y --no-install-recommends install $missing >build/apt.log 2>&1 || {
        tail -n 20 build/apt.log >&2
        echo "could not install:$missing" >&2
        return 1
    }
}

# need_peers NAME...: unpacks packages into build/peers; fails if one cannot be had.
need_peers() {
    mkdir -p build/peers/packages
    had=yes
    for package in "$@"; do
        [ -e "build/peers/packages/$package.unpacked" ] && continue
        say "unpacking $package into build/peers (nothing is installed)"
        download "$package" || { refresh_lists && download "$package"; } &&
            dpkg -x build/peers/packages/"${package}"_*.deb build/peers || {
            had=no
            continue
        }
        rm -f build/peers/packages/"${package}"_*.deb
        touch "build/peers/packages/$package.unpacked"
    done
    [ $had = yes ]
}
refresh_lists() {
    [ -z "${lists_refreshed:-}" ] || return 1
    lists_refreshed=yes
    as_root apt-get -qq update
}
download() {
    (cd build/peers/packages && rm -f "$1"_*.deb && apt-get -qq -o APT::Sandbox::User=root download "$1")
}

# need_sources NAME...: unpacks source packages into build/peers/sources/NAME; fails if one cannot be had. apt-get has lists of
# its own for that: those of the system may be without sources.
need_sources() {
    (
        mkdir -p build/peers/sources/lists/partial && cd build/peers/sources || exit 1
        for package in "$@"; do [ -e "$package" ] || break; done
        [ ! -e "$package" ] || exit 0
        say "unpacking the sources of $* into build/peers (nothing is installed)"
        sed 's/^Types: .*/Types: deb-src/' /etc/apt/sources.list.d/*.sources >all.sources 2>/dev/null
        sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >all.list 2>/dev/null
        list=all.sources
        [ -s $list ] || list=all.list
        sources() { apt-get -qq -o Dir::Etc::sourcelist="$PWD/$list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$PWD/lists" -o APT::Sandbox::User=root "$@"; }
        sources update && sources source --download-only "$@" || exit 1
        for package in "$@"; do
            mkdir -p "$package" && tar -x -f "${package}"_*.orig.tar.?z -C "$package" --strip-components 1 || exit 1
        done
    )
}

# llhttp's C sources. Their package would bring all of Node.js, so it is only unpacked.
need_llhttp() {
    [ -e /usr/share/llhttp/llhttp.c ] || need_peers node-llhttp
}

# need_python: a virtual environment build/venv with what tests/requirements.txt pins, and with the packages of
# tests/requirements-alone.txt without what they depend on: one wants all of TensorFlow, the other an older protobuf
# (what they really need is pinned in tests/requirements.txt).
need_python() {
    cat tests/requirements.txt tests/requirements-alone.txt >build/requirements
    cmp -s build/requirements build/venv/requirements.installed && return 0
    say "making build/venv with the packages of tests/requirements.txt"
    python3 -m venv build/venv && build/venv/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt &&
        build/venv/bin/pip install -q --disable-pip-version-check --no-deps -r tests/requirements-alone.txt &&
        cp build/requirements build/venv/requirements.installed
}

# need_grpcurl: build/peers/go/bin/grpcurl, where Go is there to build it.
need_grpcurl() {
    [ -x build/peers/go/bin/grpcurl ] && return 0
    command -v go >/dev/null || return 1
    say "building grpcurl in build/peers (nothing is installed)"
    GOBIN=$PWD/build/peers/go/bin GOFLAGS=-mod=mod timeout 600 go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.1
}

# configure NAME OPTION...: build/NAME.
configure() {
    dir=build/$1
    shift
    mkdir -p "$dir"
    if [ -e build/peers/usr/share/llhttp/llhttp.c ]; then
        set -- "$@" "-DLLHTTP_SOURCE_DIR=$PWD/build/peers/usr/share/llhttp" \
            "-DLLHTTP_INCLUDE_DIR=$PWD/build/peers/usr/share/include/llhttp"
    fi
    cmake -S . -B "$dir" -G Ninja "$@" >"$dir/configure.log" 2>&1 || { cat "$dir/configure.log"; return 1; }
}

jobs() { nproc 2>/dev/null || echo 2; }
