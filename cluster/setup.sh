# shellcheck shell=bash
# Set-up for a bare Debian with Rust, sourced by ./cluster/demo and ./tests/run: tools, stages, the one build.
#
# Why: both must run from nothing, share one target folder (so that RocksDB is compiled once), and leave no process
# behind. Must never: install without saying what and why, or end a process it did not start.
#
# Use:  source cluster/setup.sh; setup_tools; use_rocksdb; stage "build" build_release; ...; all_done "what was done"
# The caller has set -euo pipefail and stands in the root of the repository. The traps set here are the caller's too:
# one that has more to end does so before it exits, or by `exec`.

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${HOME:?HOME is not set}/.cache/tercet/target}"

# Packages to install, and a line each that says what for.
packages=()
reasons=()
# Whether a Python is needed, too: the caller's to say before setup_tools.
needs_python=""
# Whether a browser is needed, too: likewise.
needs_browser=""
# The process group of the stage that runs.
child=""

say() { printf '%s\n' "$*" >&2; }

# Ends with 1, or with the code given first: die [CODE] TEXT
die() {
    local code=1
    if [[ "$1" =~ ^[0-9]+$ ]]; then
        code="$1"
        shift
    fi
    say "error: $*"
    exit "$code"
}

# Ends the stage that runs, with all that it has started: they share a process group of their own.
end_child() {
    local code=$?
    trap - EXIT INT TERM HUP
    if [[ -n "$child" ]] && kill -0 -- "-$child" 2>/dev/null; then
        kill -TERM -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    exit "$code"
}
trap end_child EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Runs a command as a stage of its own; fails as it fails: stage NAME COMMAND…
stage() {
    local name="$1" begun=$SECONDS code=0
    shift
    say "==> $name"
    set -m
    "$@" &
    child=$!
    set +m
    wait "$child" || code=$?
    child=""
    if ((code != 0)); then
        die "$code" "$name failed after $((SECONDS - begun)) s"
    fi
    say "    $name: $((SECONDS - begun)) s"
}

all_done() { say "==> $* in $SECONDS s"; }

# want REASON PACKAGE…
want() {
    local reason="$1"
    shift
    packages+=("$@")
    reasons+=("$* ($reason)")
}

has() { command -v "$1" >/dev/null 2>&1; }

# The number of a libclang that is here together with its headers, if there is one.
libclang_here() {
    local library number
    for library in /usr/lib/llvm-*/lib/libclang*.so*; do
        [[ -e "$library" ]] || continue
        number="${library#/usr/lib/llvm-}"
        number="${number%%/*}"
        if compgen -G "/usr/lib/llvm-$number/lib/clang/*/include/stddef.h" >/dev/null; then
            echo "$number"
            return
        fi
    done
}

# The libclang to install: 14, with which the build is known to work, else the newest that apt knows.
libclang_to_install() {
    local known
    known="$({ apt-cache pkgnames libclang1- 2>/dev/null || true; } | sed -n 's/^libclang1-\([0-9][0-9]*\)$/\1/p' | sort -n)"
    if [[ -z "$known" ]] || grep -qx 14 <<<"$known"; then
        echo 14
    else
        tail -n 1 <<<"$known"
    fi
}

find_missing() {
    local number
    packages=()
    reasons=()
    if ! has cc || ! has c++; then
        want "compiles RocksDB and links" g++ libc6-dev
    fi
    has make || want "builds jemalloc" make
    if [[ -z "${LIBCLANG_PATH:-}" && -z "$(libclang_here)" ]]; then
        number="$(libclang_to_install)"
        want "reads RocksDB's C header" "libclang1-$number" "libclang-common-$number-dev"
    fi
    if [[ -n "$needs_python" ]] && ! tests/cmq/venv --fits; then
        want "drives CMQ's API by Tencent's SDK in the tests" python3 python3-venv
    fi
    if [[ -n "$needs_browser" ]] && ! has chromium && ! has chromium-browser && ! has google-chrome; then
        want "shows the phone's page in the tests" chromium fonts-dejavu-core
    fi
}

# Prints the one line that an operator has to run, and ends.
ask_operator() {
    say "$1; run this, then start again:"
    say "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}"
    exit 2
}

install_missing() {
    local as_root=(env DEBIAN_FRONTEND=noninteractive) quiet=(-qq -o DPkg::Lock::Timeout=300)
    if ((EUID != 0)); then
        { has sudo && sudo -n true 2>/dev/null; } || ask_operator "missing: ${reasons[*]}, and this user may not install"
        as_root=(sudo -n "${as_root[@]}")
    fi
    "${as_root[@]}" apt-get "${quiet[@]}" update >&2 || say "apt-get update failed; trying with what apt knows"
    # Only now are the names sure: a bare image has no package lists.
    find_missing
    say "installing: ${reasons[*]}"
    "${as_root[@]}" apt-get "${quiet[@]}" install -y --no-install-recommends "${packages[@]}" >&2 ||
        ask_operator "could not install"
}

# Installs a system that Tercet is measured beside, without starting its service: install_unstarted REASON PACKAGE
# Debian starts a service with its package, unless the file of this name says no; it is taken away again.
install_unstarted() {
    local reason="$1" package="$2" policy=/usr/sbin/policy-rc.d has_policy="" code=0
    local as_root=(env DEBIAN_FRONTEND=noninteractive) quiet=(-qq -o DPkg::Lock::Timeout=300)
    has apt-get || die 2 "$package is missing; install what your system calls it"
    if ((EUID != 0)); then
        { has sudo && sudo -n true 2>/dev/null; } ||
            die 2 "$package is missing; run: sudo apt-get install -y --no-install-recommends $package"
        as_root=(sudo -n "${as_root[@]}")
    fi
    say "installing: $package ($reason; its service is not started)"
    if [[ -e "$policy" ]]; then
        has_policy=yes
    else
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod +x "$policy"
    fi
    "${as_root[@]}" apt-get "${quiet[@]}" update >&2 || say "apt-get update failed; trying without"
    "${as_root[@]}" apt-get "${quiet[@]}" install -y --no-install-recommends "$package" >&2 || code=$?
    [[ -n "$has_policy" ]] || "${as_root[@]}" rm -f "$policy"
    ((code == 0)) || die "$code" "could not install $package"
}

# Makes sure of Rust and of what RocksDB's build needs. Ends with 2 where it may not install.
setup_tools() {
    has cargo || PATH="$HOME/.cargo/bin:$PATH"
    if ! has cargo; then
        say "Rust is missing; run this, then start again:"
        say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
        exit 2
    fi
    find_missing
    ((${#packages[@]} == 0)) && return
    has apt-get || die 2 "missing: ${reasons[*]}; install what your system calls them"
    install_missing
}

# Where the compiled RocksDB is kept: outside the target folder, so that no change of a feature, a dependency or a
# selection of packages makes cargo compile its C++ again. Named by all that decides its content.
rocksdb_folder() {
    local version flags
    version="$(sed -n '/^name = "librocksdb-sys"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)"
    flags="$({ grep '^rustflags = ' .cargo/config.toml && c++ -dumpfullversion -dumpmachine && grep '^rocksdb = ' Cargo.toml; } | cksum | cut -d' ' -f1)"
    echo "$HOME/.cache/tercet/rocksdb-$version-$flags"
}

# Compiles RocksDB's C++ unless it is kept from an earlier run (about 20 minutes on 2 cores), and points cargo at it.
build_rocksdb() {
    local folder="$1" library
    env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC cargo build --release -p replica --lib --locked
    library="$(ls -t "$CARGO_TARGET_DIR"/release/build/librocksdb-sys-*/out/librocksdb.a | head -n 1)"
    mkdir -p "$folder.new"
    cp "$library" "$folder.new/"
    mv "$folder.new" "$folder"
}

use_rocksdb() {
    local folder
    [[ -n "${ROCKSDB_LIB_DIR:-}" ]] && return
    folder="$(rocksdb_folder)"
    [[ -e "$folder/librocksdb.a" ]] || stage "RocksDB, once" build_rocksdb "$folder"
    export ROCKSDB_LIB_DIR="$folder" ROCKSDB_STATIC=1
}

# Builds all there is, once, in the one profile.
build_release() { cargo build --release --workspace --locked; }
