"""How much of a study came from the cache, and whether a profile takes anything from it."""

from __future__ import annotations

from aiida.manage.caching import get_use_cache
from aiida.orm import CalcJobNode, ProcessNode, QueryBuilder

from aiida_edl.provenance.graph import batches, called_processes

CACHED_FROM = '_aiida_cached_from'
"""Extra of a node that was taken from the cache."""
EXPENSIVE = ('edl.training', 'edl.molecular_dynamics')
"""Calculations for which a cache is worth having."""
ENABLE = "verdi config set caching.enabled_for 'aiida.calculations:edl.*'; verdi daemon restart"
"""How it is turned on."""


def cached_jobs(study: ProcessNode) -> tuple[int, int]:
    """Return how many jobs of a study came from the cache, and how many there are.

    :param study: a process.
    """
    pks = [called.pk for called in called_processes(study) if called.is_calculation]
    n_cached = n_jobs = 0
    for some in batches(pks):
        query = QueryBuilder().append(CalcJobNode, filters={'id': {'in': some}}, tag='job')
        n_jobs += query.count()
        query.add_filter('job', {'extras': {'has_key': CACHED_FROM}})
        n_cached += query.count()
    return n_cached, n_jobs


def cache_in_words(study: ProcessNode) -> str:
    """Return one sentence: how many jobs of a study were computed and how many came from the cache.

    :param study: a process.
    """
    n_cached, n_jobs = cached_jobs(study)
    return f'{n_cached} of {n_jobs} jobs came from the cache, {n_jobs - n_cached} were computed'


def why_nothing_is_cached() -> str | None:
    """Return one sentence if the profile takes nothing from the cache; None if it does."""
    off = [name for name in EXPENSIVE if not get_use_cache(identifier=f'aiida.calculations:{name}')]
    if not off:
        return None
    return f'{" and ".join(off)} are computed again even if they were before: caching is off; turn it on with: {ENABLE}'
