"""Ask the question of the benchmark from Python: settings of a protocol, what differs, submit.

``aiida-edl benchmark run`` does the same; this is for those who loop over studies. The daemon must run::

    source examples/demo/activate
    python examples/demo/setup_profile.py
    python examples/demo/start_daemon.py
    python examples/01_charged_interface_benchmark.py --seeds 3 --dry-run
"""

from __future__ import annotations

import argparse

from aiida import load_profile

from aiida_edl.workflows.benchmark_settings import BenchmarkSettings
from aiida_edl.workflows.launch import benchmark_settings, launch_benchmark


def main() -> None:
    """Submit one benchmark with its own number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--protocol', default='fast')
    parser.add_argument('--seeds', type=int, default=2, help='models of each architecture and training set')
    parser.add_argument('--reference-code', default='lmp@localhost')
    parser.add_argument('--python-code', default='engines-python@localhost')
    parser.add_argument('--dry-run', action='store_true', help='check the settings, name the models, submit nothing')
    arguments = parser.parse_args()

    load_profile()
    seeds = list(range(1, arguments.seeds + 1))
    overrides = {'architectures': {name: {'seeds': seeds} for name in ('mace', 'deep_potential')}}
    settings = benchmark_settings(arguments.protocol, overrides)
    for model in BenchmarkSettings.from_dict(settings).models():
        print(model.key)
    if not arguments.dry_run:
        codes = {'reference': arguments.reference_code, 'default': arguments.python_code}
        print(f'submitted: {launch_benchmark(settings, codes).uuid}')


if __name__ == '__main__':
    main()
