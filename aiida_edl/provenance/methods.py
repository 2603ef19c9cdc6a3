"""The methods section of a study, each sentence made from what stands in its graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_edl.provenance.results import BenchmarkResults
from aiida_edl.provenance.run_exclusions import count_sentence, rule_sentences
from aiida_edl.provenance.table_text import shown
from aiida_edl.science.analysis.training_sets import TrainingKind, TrainingSet
from aiida_edl.science.electrostatics.tuning_request import TuningRequest

PICOSECOND = 1000.0
"""fs in one ps."""
HOUR = 3600.0
"""s in one hour."""


def methods_sentences(results: BenchmarkResults, plugins: Mapping[str, str]) -> list[str]:
    """Return the methods section, sentence by sentence; what the graph does not hold is left out.

    :param results: what the benchmark has found.
    :param plugins: versions of the programs that ran the workflow, by name.
    """
    found = [
        _cell(results),
        _charges(results),
        _reference(results),
        _labels(results),
        _training_sets(results),
        *_architectures(results),
        *_electrostatics(results),
        _production(results),
        _quality(results),
        _versions(results, plugins),
        _cost(results),
    ]
    return [sentence for sentence in found if sentence]


def _cell(results: BenchmarkResults) -> str:
    """Return metal, film and cell, counted from the structures."""
    structure = results.settings.get('structure', {})
    if not structure and not results.compositions:
        return ''
    area = f', lateral area {results.charge_states[0]["area"]:.4g} Å²' if results.charge_states else ''
    others = {
        name: value for name, value in structure.items() if name not in ('metal', 'repeat', 'n_water', 'seed') and value
    }
    more = '; '.join(f'{name.replace("_", " ")} {shown(value)}' for name, value in others.items())
    tail = f' ({more})' if more else ''
    return f'The cell holds {contents(results)}{area}{tail}.'


def contents(results: BenchmarkResults) -> str:
    """Return metal atoms, waters and lengths of the cells in words, counted from the structures of the study.

    :param results: what the benchmark has found.
    """
    metal = results.metal
    cells = list(results.compositions.values())
    if not cells:
        return f'a slab of {metal} and water, of which no structure is stored'
    n_metal = _listed({item.counts.get(metal, 0) for item in cells})
    n_water = _listed({item.n_water for item in cells})
    lengths = {
        ' × '.join(
            f'{length:.2f}'
            for length, is_periodic in zip(item.lengths, item.is_periodic)
            if is_periodic or length > 0.0
        )
        for item in cells
    }
    open_along = '' if all(all(item.is_periodic) for item in cells) else ', open along the normal'
    return f'{n_metal} {metal} atoms and {n_water} water molecules in {" or ".join(sorted(lengths))} Å{open_along}'


def _listed(numbers: set[int]) -> str:
    """Return numbers in words: one, or all that occur."""
    return ' or '.join(str(number) for number in sorted(numbers))


def _charges(results: BenchmarkResults) -> str:
    """Return charge states with their surface charges."""
    states = [
        f'{state["label"]} ({state["surface_charge_microcoulomb_per_cm2"] + 0.0:.1f} µC/cm²)'
        for state in results.charge_states
    ]
    if not states:
        return ''
    return (
        f'The metal carries the opposite of the charge of the {results.ion} ions in the neutral cell; the charge '
        f'states are {", ".join(states)}.'
    )


def _dynamics(part: Mapping[str, Any]) -> str:
    """Return ensemble, length and step of a run."""
    md = part.get('md', {})
    if not {'steps', 'time_step'} <= set(md):
        return ''
    ensemble = f'{str(md["ensemble"]).upper()} ' if 'ensemble' in md else ''
    thermostat = f', thermostat {md["thermostat"]}' if 'thermostat' in md else ''
    relaxation = f' with a relaxation time of {md["relaxation_time"]:g} fs' if 'relaxation_time' in md else ''
    temperature = f' at {md["temperature"]:g} K' if 'temperature' in md else ''
    equilibration = md.get('equilibration_steps', 0) * md['time_step'] / PICOSECOND
    before = f' after {equilibration:g} ps of equilibration' if equilibration else ''
    fixed = f', fixed atoms: {shown(md["fixed_elements"])}' if md.get('fixed_elements') else ''
    return (
        f'{ensemble}{md["steps"] * md["time_step"] / PICOSECOND:g} ps in steps of {md["time_step"]:g} fs{temperature}'
        f'{before}{thermostat}{relaxation}{fixed}'
    )


def _reference(results: BenchmarkResults) -> str:
    """Return the reference dynamics."""
    reference = results.settings.get('reference', {})
    run = _dynamics(reference)
    if not run:
        return ''
    return f'{reference.get("replicas", 1)} reference runs at each charge state with {reference["engine"]}: {run}.'


def _labels(results: BenchmarkResults) -> str:
    """Return level of theory and number of the labels."""
    if not results.n_frames:
        return ''
    labelling = results.settings.get('labelling', {})
    how = f', chosen by {labelling["method"].replace("_", " ")}' if 'method' in labelling else ''
    return (
        f'{results.n_labelled} frames{how}, were labelled at the level {results.level_of_theory}; '
        f'{len(results.rejected)} labels were rejected and {results.n_frames} kept.'
    )


def _training_sets(results: BenchmarkResults) -> str:
    """Return training sets and split."""
    sets, split = results.settings.get('training_sets', {}), results.settings.get('split', {})
    if not sets or not split:
        return ''
    counts: dict[TrainingKind, int] = {}
    for name in sets:
        kind = TrainingSet.from_name(name).kind
        counts[kind] = counts.get(kind, 0) + 1
    listed = ', '.join(f'{count} {kind.value}' for kind, count in counts.items())
    return (
        f'The training sets ({listed}) hold {split.get("n_training")} frames each; {split.get("n_validation")} frames '
        f'of each charge state validate and {split.get("n_test")} test, the same for all models; the split is by '
        f'blocks of time, with seed {split.get("seed")}.'
    )


def _architectures(results: BenchmarkResults) -> list[str]:
    """Return how each architecture was trained."""
    sentences = []
    for name in sorted({item.architecture for item in results.potentials}):
        members = [item for item in results.potentials if item.architecture == name]
        fields = sorted({item.receptive_field for item in members})
        updates = sorted({item.gradient_updates for item in members if item.gradient_updates is not None})
        values = results.settings.get('architectures', {}).get(name, {})
        precision = f', {values["precision"]}' if 'precision' in values else ''
        chosen = results.trainings.get(name, {})
        listed = '; '.join(f'{key} {shown(value)}' for key, value in chosen.items() if not isinstance(value, dict))
        sentences.append(
            f'{name}: {len(members)} models, seeds {shown(sorted({item.seed for item in members}))}, {shown(updates)} '
            f'gradient updates, receptive field {shown(fields)} Å{precision}' + (f' ({listed}).' if listed else '.')
        )
    return sentences


def _electrostatics(results: BenchmarkResults) -> list[str]:
    """Return which charges stand beside the potentials of an architecture, and how they are summed."""
    sentences, trained = [], {potential.architecture for potential in results.potentials}
    for key, part in sorted(results.settings.get('architectures', {}).items()):
        if key not in trained or not (asked := part.get('long_range')):
            continue
        request = TuningRequest.from_dict(asked)
        charges = ', '.join(f'{symbol} {charge:+g} e' for symbol, charge in request.charges.items())
        balance = f'; {request.balanced_by} carries what makes a frame neutral' if request.balanced_by else ''
        sentences.append(
            f'The Coulomb energy of fixed charges ({charges}{balance}) was taken off the labels of {key} and added to '
            f'its potentials, summed by {request.method.upper()} to a force error of {request.force_error:g} eV/Å.'
        )
    return sentences


def _production(results: BenchmarkResults) -> str:
    """Return the dynamics with the potentials."""
    production = results.settings.get('production', {})
    run = _dynamics(production)
    if not run:
        return ''
    n_runs = sum(not item.tag.is_reference for item in results.profiles)
    return (
        f'Each model ran at the charge states of its training set with {production["engine"]}, from a frame of the '
        f'reference of its own, {n_runs} analysed runs in all: {run}.'
    )


def _quality(results: BenchmarkResults) -> str:
    """Return how many runs do not count, and by which rule."""
    return ' '.join([*rule_sentences(results), count_sentence(results)]).strip()


def _versions(results: BenchmarkResults, plugins: Mapping[str, str]) -> str:
    """Return the versions of all programs."""
    engines = [f'{name} {" and ".join(numbers)}' for name, numbers in results.versions.items()]
    listed = [f'{name} {number}' for name, number in plugins.items()] + engines
    return f'Programs: {", ".join(listed)}.' if listed else ''


def _cost(results: BenchmarkResults) -> str:
    """Return what it cost in core-hours."""
    hours = {row.stage: row.cpu_seconds / HOUR for row in results.cost if row.cpu_seconds}
    if not hours:
        return ''
    listed = ', '.join(f'{stage} {shown(value)}' for stage, value in hours.items())
    return f'The programs state {shown(sum(hours.values()))} core-hours in all: {listed}.'
