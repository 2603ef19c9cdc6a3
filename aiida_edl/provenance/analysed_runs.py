"""What the analyses of a benchmark found in each run, read from the graph as plain arrays and numbers.

An analysis is any calculation whose result the benchmark returns under ``analyses.<name>.<run>``. Nothing is known
here of what they are: an array ``x`` and an array ``x_error``, a number ``n`` and a number ``n_error`` belong together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiida.common.links import LinkType
from aiida.orm import ArrayData, Dict, ProcessNode
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.provenance.rows import TrainedPotential
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag

PROFILES = 'interface_profiles'
"""Name of the analysis that every run has."""
QUALITY = 'run_quality'
"""Name of the analysis that says whether a run stayed within physics."""
NAMESPACE = 'analyses'
"""Output of a benchmark that holds the results of analyses."""
SEPARATOR = '__'
"""What stands between the parts of the label of a nested output."""
REPLICA = re.compile(r'_replica_\d+$')
"""How the name of one of several replicas of a run ends."""
LONGEST_LIST = 24
"""Longest array whose values stand one by one in a table of numbers: layers, say, but not bins."""
NAMES_OF_ENTRIES = {'convergence': 'observables'}
"""Attribute that names the entries of the lists of an analysis."""
ERROR_SUFFIX = '_error'
"""How the name of a standard error ends."""


@dataclass(frozen=True)
class AnalysedRun:
    """What one analysis found in one run."""

    analysis: str
    """Name of the analysis."""
    tag: ModelTag
    """What the run was made with."""
    arrays: Mapping[str, NDArray[Any]]
    """Arrays by name."""
    scalars: Mapping[str, Any]
    """Other values by name."""
    replica: int = 0
    """Number of the run, where the model has several at one charge state; 0 for all of them together."""

    @property
    def n_frames(self) -> int:
        """Frames that were analysed; 1 if the analysis does not tell."""
        return int(self.scalars.get('n_frames') or 1)

    def array(self, name: str, row: int | None = None) -> NDArray[Any] | None:
        """Return an array, or one row of it; None if there is none.

        :param name: name of the array.
        :param row: position along its first axis.
        """
        values = self.arrays.get(name)
        if values is None or row is None:
            return values
        return values[row] if values.ndim > 1 and row < len(values) else None

    def setting(self, name: str) -> Any:
        """Return a setting of the analysis; None if the node states none.

        :param name: its name.
        """
        return (self.scalars.get('settings') or {}).get(name)


def of_profiles(profiles: Iterable[ModelProfile]) -> tuple[AnalysedRun, ...]:
    """Return the profiles of runs as what an analysis found.

    :param profiles: profiles with their tags.
    """
    return tuple(AnalysedRun(PROFILES, item.tag, item.profiles.arrays(), item.profiles.scalars()) for item in profiles)


def collect_analyses(
    study: ProcessNode, potentials: Iterable[TrainedPotential], charge_labels: Iterable[str]
) -> tuple[AnalysedRun, ...]:
    """Return what the analyses of a benchmark found, by analysis and run.

    Where replicas of a run were also analysed together, only that is given, but for the quality, which each has.

    :param study: the benchmark.
    :param potentials: its potentials.
    :param charge_labels: its charge states.
    """
    labels = list(charge_labels)
    tags = {
        f'{item.architecture}_{item.training_set}_seed_{item.seed:02d}_at_{label}': ModelTag(
            item.training_set, item.architecture, item.seed, label
        )
        for item in potentials
        for label in labels
    }
    links = study.base.links.get_outgoing(link_type=LinkType.RETURN).all()
    results = {entry.link_label: entry.node for entry in links if entry.link_label.startswith(NAMESPACE + SEPARATOR)}
    found = []
    for label, node in sorted(results.items()):
        _, name, key = (*label.split(SEPARATOR, 2), '')[:3]
        whole = REPLICA.sub('', key)
        tag = tags.get(whole) or _reference_tag(key, labels)
        is_part = whole != key and f'{NAMESPACE}{SEPARATOR}{name}{SEPARATOR}{whole}' in results
        if tag is not None and (name == QUALITY or not is_part):
            replica = int(key.rpartition('_')[2]) if whole != key else 0
            found.append(AnalysedRun(name, tag, _arrays(node), dict(node.base.attributes.all), replica))
    return tuple(sorted(found, key=lambda run: (run.analysis, not run.tag.is_reference, str(run.tag), run.replica)))


def _reference_tag(key: str, charge_labels: list[str]) -> ModelTag | None:
    """Return the tag of a run of the reference from its key, e.g. ``reference_2Na_01``; None if it is none."""
    label, _, replica = key.removeprefix('reference_').rpartition('_')
    if not key.startswith('reference_') or label not in charge_labels or not replica.isdigit():
        return None
    return ModelTag('reference', 'reference', int(replica), label, is_reference=True)


def _arrays(node: ArrayData | Dict) -> dict[str, NDArray[Any]]:
    """Return the arrays of a node; a dictionary has none."""
    if not isinstance(node, ArrayData):
        return {}
    return {name: node.get_array(name) for name in node.get_arraynames()}


def scalar_rows(run: AnalysedRun) -> list[dict[str, Any]]:
    """Return the numbers that an analysis found in a run, each with its standard error; also those of short lists.

    Values that are no numbers, e.g. settings, and the errors themselves have no row.

    :param run: the run.
    """
    rows = []
    for name, value in sorted(run.scalars.items()):
        if name.endswith(ERROR_SUFFIX) or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        error = run.scalars.get(f'{name}{ERROR_SUFFIX}')
        rows.append({'quantity': name, 'value': number(value), 'error': number(error)})
    for name, array in sorted(run.arrays.items()):
        errors = run.arrays.get(f'{name}{ERROR_SUFFIX}')
        if errors is None or array.ndim != 1 or array.shape != errors.shape or len(array) > LONGEST_LIST:
            continue
        rows += [
            {'quantity': f'{name}[{entry}]', 'value': number(value), 'error': number(error)}
            for entry, value, error in zip(_entries(run, name, len(array)), array, errors)
        ]
    return rows


def _entries(run: AnalysedRun, name: str, length: int) -> list[str]:
    """Return what the entries of a short list are called: by an attribute that names them, or an array of numbers.

    :param run: the run.
    :param name: name of the list.
    :param length: its length.
    """
    names = run.scalars.get(NAMES_OF_ENTRIES.get(run.analysis, ''))
    if isinstance(names, list) and len(names) == length:
        return [str(entry) for entry in names]
    numbers = run.arrays.get('element_numbers')
    if name.startswith('element_') and numbers is not None and len(numbers) == length:
        return [chemical_symbols[int(entry)] for entry in numbers]
    return [str(index + 1) for index in range(length)]


def number(value: Any) -> float | None:
    """Return a float, or None for what is none or not finite.

    :param value: any value.
    """
    return float(value) if isinstance(value, (int, float, np.number)) and np.isfinite(value) else None
