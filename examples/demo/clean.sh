#!/usr/bin/env bash
# Remove what the demo made: daemon, profile with its data, results, working directory of jobs, environments.
set -euo pipefail
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=activate
source "$here/activate"
cd "$AIIDA_EDL_ROOT"
if [ -d results/study ] && [ -z "${REMOVE_STUDY:-}" ]; then
    printf 'error: results/study shares the profile with the demo; to lose both, call: make demo-clean REMOVE_STUDY=1\n' >&2
    exit 1
fi
"$here/stop_daemon.sh"
digest="$(printf '%s' "$(pwd -P)" | sha256sum | cut -c 1-8)"
for thing in "${AIIDA_EDL_SCRATCH:-/var/tmp/aiida-edl-$digest}" .aiida-edl results/demo results/study .environments; do
    if [ -e "$thing" ]; then
        printf 'removing %s\n' "$thing"
        rm -rf -- "$thing"
    fi
done
rmdir results 2>/dev/null || true
