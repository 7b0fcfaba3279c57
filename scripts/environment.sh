# Sourced by the other scripts. Changes to the repository's root and provides:
#
#   ensure_environment EXTRA   creates .venv and installs the package with an extra (demo,
#                              test, lint, docs) under constraints.txt, once for each
#                              state of pyproject.toml and constraints.txt
#   ensure_wrk                 installs the load generator wrk, or fails
#   ensure_chromium            installs the browser that tests pages, or fails
#   ensure_compiled            compiles the package into .compiled, once for each state of
#                              src/ and pyproject.toml
#   check_deciders             fails unless the branch coverage of the scheduler and the
#                              batch code is complete
#
# PYTHON names the interpreter; the default is python3, or the newest from 3.11 on.
# Call the functions as plain commands, never in a condition, so that `set -e` works.

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
    say "creating .venv with $python"
    "$python" -m venv --clear .venv
}

install_extra() {
    local extra=$1 stamp=.venv/installed-$1 state
    state=$(cat pyproject.toml constraints.txt | cksum)
    if [[ -f $stamp && $(<"$stamp") == "$state" ]]; then
        return
    fi
    # The interpreter of .venv was removed, or its creation was interrupted.
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        make_venv
    fi
    say "installing headway[$extra] into .venv; this takes a few minutes the first time"
    # Without build isolation, the build backend is pinned too, and downloaded once.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt hatchling editables
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --no-build-isolation --editable ".[$extra]"
    printf '%s\n' "$state" >"$stamp"
}

ensure_environment() {
    # Locks a file that always exists, so that no lock file is left behind. Without
    # flock (macOS), run one script at a time.
    exec 9<constraints.txt
    if command -v flock >/dev/null; then
        flock 9
    fi
    install_extra "$1" </dev/null 9<&-
    exec 9<&-
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
}

# ensure_package COMMAND PACKAGE WHAT: without it, a message says that WHAT is skipped.
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
    # Not in src/: compiled modules there would still be imported after their source
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
    # Tests pass every branch of the scheduler and the code that splits rows.
    python -m coverage report --fail-under=100 \
        --include='*/headway/scheduling/*,*/headway/ipc/frames.py,*/headway/runner/batch.py,*/headway/runner/executor.py'
}
