#!/usr/bin/env bash
# Run the study of lithium fluoride from nothing: profile, daemon, teacher, study, report.
#
#     examples/lithium/run.sh SIZE       tiny or small, see sizes.yaml
#
# Stop it with Ctrl-C and call it again: what has finished is taken from the profile, what runs goes on.
# The daemon is stopped at the end.
set -euo pipefail

[ $# -eq 1 ] || {
    printf "error: run.sh needs a size, e.g. 'tiny'\n" >&2
    exit 1
}
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
demo="$here/../demo"

# shellcheck source=../demo/activate
source "$demo/activate"
cd "$AIIDA_EDL_ROOT"
mkdir -p "$AIIDA_PATH/.aiida"
# One at a time: the end of another call would stop the daemon of this one. The daemon must not inherit the lock.
exec 7>"$AIIDA_PATH/run.lock"
flock --nonblock 7 || {
    printf 'waiting for another call in this checkout to end\n'
    flock 7
}
trap '"$demo/stop_daemon.sh"' EXIT
python "$demo/setup_profile.py" --architectures sevennet
aiida-edl foundation add 7net-0 --python .environments/sevenn/bin/python --label 7net-0
python "$demo/start_daemon.py" 7>&-
python examples/06_lithium_diffusion.py --size "$1" --teacher 7net-0 --teacher-code sevenn-python
