#!/usr/bin/env bash
# Install one of the Python environments of the demo and the tests; does nothing if it is already as requested.
#
#     examples/demo/install.sh aiida [EXTRA]     AiiDA and this package, with one of its extras: tests, docs or dev
#     examples/demo/install.sh engines NAME,NAME what the demo runs (LAMMPS, tblite, MACE, DeePMD-kit), and the
#                                                environments of further architectures; no AiiDA in them
#     examples/demo/install.sh torch             the environment of MACE with what the tests of PyTorch need beside it
#     examples/demo/install.sh crosscheck        MAICoS, MDAnalysis, kinisi and site-analysis (from Python 3.11 on),
#                                                against which profiles, diffusion and sites are checked
#
# A stamp file in the environment holds what was asked for; while that text stays the same, nothing is installed.
# PYTHON names the interpreter to build on (default python3).
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd -- "$here/../.." && pwd)"
python="${PYTHON:-python3}"

stop() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

[ $# -ge 1 ] || stop "install.sh needs the name of an environment: aiida, engines, torch or crosscheck"
name="$1"
extra="${2:-}"
environment="$root/.environments/$name"
log="$root/.environments/$name.log"
stamp="$environment/.installed${extra:+-$extra}"

# What the installation depends on: the requirements, and where the checkout lies (scripts hold absolute paths).
request() {
    printf 'root %s\n' "$root"
    case "$name" in
        aiida | crosscheck) cat "$root/pyproject.toml" ;;
    esac
}

case "$name:$extra" in
    aiida: | aiida:tests | aiida:docs | aiida:dev | engines:* | torch: | crosscheck:) ;;
    *) stop "install.sh knows 'aiida', 'aiida tests', 'aiida docs', 'aiida dev', 'engines', 'torch' and 'crosscheck', not '$name${extra:+ $extra}'" ;;
esac

# The environments of the trainers are recipes of the package, which does nothing either if all is as requested.
recipes() {
    [ -x "$root/.environments/aiida/bin/python" ] || stop "install.sh needs 'install.sh aiida' before 'install.sh $name'"
    "$root/.environments/aiida/bin/python" -m aiida_edl.environments --path "$root/.environments" \
        --python "$python" "$@"
}

case "$name" in
    engines)
        IFS=, read -r -a further <<<"$extra"
        recipes engines "${further[@]}"
        exit
        ;;
    torch)
        recipes mace
        "$root/.environments/mace/bin/python" -m pip --quiet --disable-pip-version-check --no-input install \
            torch-pme==0.5.0 scipy 'pytest>=8' 'hypothesis>=6.100'
        exit
        ;;
esac

if [ -f "$stamp" ] && [ "$(request | sha256sum)" = "$(cat "$stamp")" ]; then
    exit 0
fi

check_python() {
    command -v "$python" >/dev/null || stop "there is no '$python': install Python 3.11, or name one with PYTHON=..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        stop "'$python' is $("$python" --version), Python 3.10 or newer is needed (tested with 3.11)"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        stop "'$python' cannot make virtual environments: install the module (Debian: apt-get install python3-venv)"
}

# Run a command with its output in the log; on failure show the end of the log and stop.
step() {
    local what="$1" start=$SECONDS
    shift
    printf '%s environment: %s ... ' "$name" "$what"
    if ! "$@" >>"$log" 2>&1; then
        printf 'failed\n'
        tail -n 20 "$log" >&2
        stop "$what failed; the whole output is in .environments/$name.log"
    fi
    printf '%d s\n' $((SECONDS - start))
}

pip() {
    "$environment/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"
}

make_environment() {
    local made_for
    made_for="$(cat "$environment/.made-for" 2>/dev/null || printf '%s' "$root")"
    if [ "$made_for" != "$root" ] || ! "$environment/bin/python" -m pip --version >/dev/null 2>&1; then
        check_python
        step 'making it' "$python" -m venv --clear "$environment"
        step 'newest pip' pip install --upgrade 'pip>=25'
    fi
    printf '%s' "$root" >"$environment/.made-for"
}

install_aiida() {
    step "installing aiida-edl${extra:+ for $extra}" pip install --editable "$root${extra:+[$extra]}"
}

# Not beside AiiDA: these are GPL, and their dependencies are their own affair.
install_crosscheck() {
    step 'installing MAICoS, MDAnalysis, kinisi and site-analysis' pip install 'maicos>=0.12' 'MDAnalysis>=2.9' \
        'tidynamics>=1.1' 'kinisi>=2.1' 'site-analysis[fast]>=1.8; python_version >= "3.11"'
}

mkdir -p "$root/.environments"
: >"$log"
unset PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE=1
make_environment
"install_$name"
step 'checking that versions fit together' "$environment/bin/python" -m pip --disable-pip-version-check check
request | sha256sum >"$stamp"
