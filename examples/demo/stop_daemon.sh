#!/usr/bin/env bash
# Stop the daemon of the demo's profile, if it runs.
set -euo pipefail
# shellcheck source=activate
source "$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/activate"
if compgen -G "$AIIDA_PATH/.aiida/daemon/circus-*.pid" >/dev/null; then
    verdi daemon stop >/dev/null 2>&1 || printf 'warning: the daemon did not answer, look at: verdi daemon status\n' >&2
fi
