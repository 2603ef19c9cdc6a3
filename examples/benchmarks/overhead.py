"""What provenance costs: wall time of a finished benchmark over the time its engines worked.

The slots of a computer without a batch system run jobs side by side, so the least possible wall time is the time of the
engines divided by the slots. Two times are taken: the wall time that each program ran, and its processor time. The
second is shorter where programs wait for a core, so its ratio also counts what the daemon takes from them on a machine
that has no core to spare; on a cluster there is no such competition::

    source examples/demo/activate
    python examples/benchmarks/overhead.py [PROCESS] [--slots 2]

Without PROCESS the last finished benchmark is taken whose calculations were all computed, none taken from the cache.
"""

from __future__ import annotations

import argparse
import sys

from aiida import load_profile
from aiida.common.exceptions import ConfigurationError
from aiida.orm import CalcJobNode, ProcessNode, QueryBuilder, WorkChainNode, load_node

from aiida_edl.workflows.charged_interface_benchmark import ChargedInterfaceBenchmarkWorkChain

LIMIT = 1.15
"""What the package promises for the wall time of the programs."""


def last_benchmark() -> ProcessNode | None:
    """Return the last benchmark that was computed from nothing, None if there is none."""
    query = QueryBuilder().append(
        WorkChainNode,
        filters={
            'process_type': ChargedInterfaceBenchmarkWorkChain.build_process_type(),
            'attributes.exit_status': {'in': [0, 700]},
        },
        tag='benchmark',
    )
    query.order_by({'benchmark': {'ctime': 'desc'}})
    return next((node for node in query.all(flat=True) if not any(cached for *_, cached in work(node))), None)


def work(node: ProcessNode) -> list[tuple[float, float, bool]]:
    """Return wall and processor time of every job [s], and whether it came from the cache."""
    found = []
    for child in node.called_descendants:
        if isinstance(child, CalcJobNode):
            summaries = [child.outputs[name].get_dict() for name in child.outputs if name.endswith('_summary')]
            wall, cpu = (sum(s.get(key) or 0.0 for s in summaries) for key in ('wall_seconds', 'cpu_seconds'))
            found.append((wall, cpu, bool(child.base.caching.is_created_from_cache)))
    return found


def main() -> int:
    """Print both times and their ratio; return 1 if it is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('process', nargs='?', help='a finished benchmark')
    parser.add_argument('--slots', type=int, default=2, help='jobs that ran at once (default 2)')
    arguments = parser.parse_args()
    try:
        load_profile()
    except ConfigurationError:
        print('there is no AiiDA profile; run `make demo` first, or `source examples/demo/activate`')
        return 0
    node = load_node(arguments.process) if arguments.process else last_benchmark()
    if node is None:
        print('no finished benchmark without cached calculations; run `make demo` first')
        return 0
    total = (node.mtime - node.ctime).total_seconds()
    jobs = work(node)
    wall, cpu = sum(job[0] for job in jobs), sum(job[1] for job in jobs)
    print(
        f'{total:.0f} s for {len(jobs)} jobs on {arguments.slots} slots, which ran {wall:.0f} s, {cpu:.0f} s on a core'
    )
    ratio = total * arguments.slots / wall
    print(f'total over the wall time of the programs: {ratio:.3f} (limit {LIMIT})')
    print(f'total over the processor time of the programs: {total * arguments.slots / cpu:.3f}')
    return int(ratio > LIMIT)


if __name__ == '__main__':
    sys.exit(main())
