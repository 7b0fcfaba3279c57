# Sourced by the other scripts: goes to the repository's root and makes .venv.
#
#   ensure_environment EXTRA   installs the package with that extra (demo, test, lint)
#                              under constraints.txt, once for each state of
#                              pyproject.toml and constraints.txt
#   ensure_wrk                 succeeds if the load generator wrk is there
#   ensure_chromium            ... and the browser, in which pages are tested
#   ensure_compiled            compiles the package into .compiled, once for each state
#                              of src/ and pyproject.toml
#   check_deciders             ... if the coverage of what decides is whole
#
# PYTHON names the interpreter to use; otherwise the newest python3 from 3.11 on.
# Functions are called on their own, never in a condition, so that `set -e` holds.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "${0##*/}: $*" >&2; }

fail() {
    say "$@"
    exit 1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer found: install one, or name it with" \
        "PYTHON=/path/to/python3 $0"
}

make_venv() {
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "$python cannot make a virtual environment: on Debian or Ubuntu run" \
            "'apt-get install python3-venv' first, or name another interpreter with" \
            "PYTHON=/path/to/python3"
    fi
    say "making .venv with $python"
    "$python" -m venv --clear .venv
}

install_extra() {
    local extra=$1 stamp=.venv/installed-$1 state
    state=$(cat pyproject.toml constraints.txt | cksum)
    if [[ -f $stamp && $(<"$stamp") == "$state" ]]; then
        return
    fi
    # A .venv whose interpreter was removed, or whose making was interrupted.
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        make_venv
    fi
    say "installing headway[$extra] into .venv; this takes a few minutes the first time"
    # Without build isolation the build backend is pinned too, and fetched once.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt hatchling editables
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --no-build-isolation --editable ".[$extra]"
    printf '%s\n' "$state" >"$stamp"
}

ensure_environment() {
    # The lock is on a file that is always there, so that none has to be left behind;
    # a machine without flock (macOS) runs one script at a time.
    exec 9<constraints.txt
    if command -v flock >/dev/null; then
        flock 9
    fi
    install_extra "$1" </dev/null 9<&-
    exec 9<&-
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
}

# ensure_package COMMAND PACKAGE WHAT: WHAT is skipped, says the message, without it.
ensure_package() {
    if command -v "$1" >/dev/null; then
        return 0
    fi
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing $2"
        if { apt-get install --yes --quiet "$2" ||
            { apt-get update --quiet && apt-get install --yes --quiet "$2"; }; } \
            >/dev/null 2>&1 </dev/null; then
            return 0
        fi
    fi
    say "skipping what needs $3: it is not installed (apt-get install $2)"
    return 1
}

ensure_wrk() { ensure_package wrk wrk "the load generator wrk"; }

ensure_chromium() { ensure_package chromium chromium "a browser"; }

ensure_compiled() {
    local state build
    state=$(find src pyproject.toml -type f -not -name '*.pyc' -print0 | sort -z |
        xargs -0 cat | cksum)
    if [[ -f .compiled/state && $(<.compiled/state) == "$state" ]]; then
        return
    fi
    say "compiling headway into .compiled; this takes two minutes"
    # Away from src/, where what is compiled would go on being imported when its source
    # has changed.
    build=$(mktemp -d)
    cp -r src pyproject.toml README.md LICENSE "$build"
    HATCH_BUILD_HOOK_ENABLE_MYPYC=true python -m pip wheel --quiet \
        --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir "$build/dist" "$build"
    rm -rf .compiled
    python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
        --target .compiled "$build"/dist/*.whl
    rm -rf "$build"
    printf '%s\n' "$state" >.compiled/state
}

check_deciders() {
    # What decides and what cuts rows has no branch that a test has not been through.
    python -m coverage report --fail-under=100 \
        --include='*/headway/scheduling/*,*/headway/ipc/frames.py,*/headway/runner/batch.py,*/headway/runner/isolation.py'
}
