#!/usr/bin/env bash
# Run the charged-interface benchmark from nothing: profile, daemon, benchmark, report.
#
#     examples/demo/run.sh PROTOCOL OUTPUT       e.g. fast results/demo
#
# ARCHITECTURES names the architectures to compare, if not those of the protocol: mace,deep_potential_mp.
# Stop it with Ctrl-C and call it again: finished steps are taken from the profile, not computed twice.
# The daemon is stopped at the end, so that nothing of the demo goes on running.
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"

stop() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

[ $# -eq 2 ] || stop "run.sh needs a protocol and a directory for the results, e.g. 'fast results/demo'"
protocol="$1"
output="$2"

# shellcheck source=activate
source "$here/activate"
cd "$AIIDA_EDL_ROOT"
command -v flock >/dev/null || stop "there is no 'flock', which limits the number of jobs: install util-linux"
mkdir -p "$AIIDA_PATH/.aiida"

# One at a time: the end of another call would stop the daemon of this one. The daemon must not inherit the lock.
exec 7>"$AIIDA_PATH/run.lock"
flock --nonblock 7 || {
    printf 'waiting for another call in this checkout to end\n'
    flock 7
}

# Ctrl-C and a failure pass through here too. The daemon finishes nothing by force: its processes go on at the next call.
trap '"$here/stop_daemon.sh"' EXIT

start=$SECONDS
printf 'profile and daemon: making them ready in %s\n' "${AIIDA_PATH#"$AIIDA_EDL_ROOT"/}"
python "$here/setup_profile.py" --architectures "${ARCHITECTURES:-}" || stop 'the profile could not be made ready, see above'
python "$here/start_daemon.py" 7>&- || stop 'the daemon could not be started, see above'
printf "benchmark: protocol '%s', results go to %s\n" "$protocol" "$output"
# All models at once would only wait for slots, and each look at a waiting job costs the daemon time.
aiida-edl benchmark run --protocol "$protocol" --architectures "${ARCHITECTURES:-}" --max-active 12 --output "$output" ||
    stop "the benchmark did not finish, see above; look around with 'source examples/demo/activate; verdi process list -a'"

printf '\nDone in %d min %d s. The results:\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
find "$output" -type f | sort | sed 's/^/    /'
printf "Look into the graph with: source examples/demo/activate; verdi process list -a\n"
