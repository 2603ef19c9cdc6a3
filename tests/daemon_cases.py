"""Benchmarks by the daemon: kill its workers, wait for the end, and see what was computed."""

from __future__ import annotations

import os
import signal
import time

from aiida.orm import CalcJobNode, QueryBuilder, load_node

from aiida_edl.calculations.exit_codes import MD_EXPLODED
from aiida_edl.provenance.cached_jobs import CACHED_FROM
from aiida_edl.provenance.graph import called_processes


def wait_for(condition, what, seconds=900.0):
    """Wait until a condition holds.

    :param condition: function without arguments.
    :param what: what is wrong if it never does.
    :param seconds: after which the test fails [s].
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f'{what} within {seconds:.0f} s'
        time.sleep(0.5)


def trainings(node):
    """Return how many trainings a benchmark has begun."""
    return sum(called.process_label == 'TrainingCalculation' for called in called_processes(node))


def kill_workers(client):
    """Kill every worker of the daemon at once, as a lost node would."""
    workers = client.get_worker_info()['info']
    for info in workers.values():
        os.kill(info['pid'], signal.SIGKILL)
    assert workers


def ended(node, seconds=900.0):
    """Wait for the end of a process and return its node.

    :param seconds: after which the test fails [s].
    """
    wait_for(lambda: load_node(node.pk).is_terminated, f'{node.process_label}<{node.pk}> did not end', seconds)
    return load_node(node.pk)


def computed_jobs(node):
    """Return the names of those jobs of a benchmark that were not taken from the cache."""
    jobs = {called.pk: called.path[0] for called in called_processes(node) if called.is_calculation}
    query = QueryBuilder().append(
        CalcJobNode, filters={'id': {'in': list(jobs)}, 'extras': {'!has_key': CACHED_FROM}}, project='id'
    )
    return [jobs[pk] for pk in query.all(flat=True)]


def accidents(node):
    """Return what each calculation of a benchmark failed of, but for runs of models that left physics."""
    told = [called for called in called_processes(node) if called.is_calculation and called.state != 'running']
    return [(*called.path, called.exit_message) for called in told if called.exit_status not in (0, MD_EXPLODED.status)]


def explosions(node):
    """Return the names of the runs of a benchmark that left physics."""
    return ['/'.join(called.path) for called in called_processes(node) if called.exit_status == MD_EXPLODED.status]
