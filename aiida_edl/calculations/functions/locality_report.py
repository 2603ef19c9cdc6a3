"""Say of each potential how far it sees, what it misses of a far ion, and whether it tells charges apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.analysis.charge_blindness import charge_blindness
from aiida_edl.science.analysis.ion_removal import ALL, ion_removal
from aiida_edl.science.analysis.locality import LocalityFindings, LocalityProfile, Prediction, locality
from aiida_edl.science.analysis.locality_words import (
    BOTH_QUESTIONS,
    charge_sentence,
    locality_sentences,
    removal_sentence,
)
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.locality_pairs import FRAME, LocalitySettings

POTENTIAL, PREDICTIONS, CHARGE_PREDICTIONS, ERRORS = 'potential', 'predictions', 'charge_predictions', 'errors'
"""First parts of the names of the inputs of a potential, followed by ``_`` and its name."""
PARTS = (PREDICTIONS, CHARGE_PREDICTIONS, ERRORS)
"""Nodes of one potential besides itself."""


@dataclass
class _Report:
    """What is said so far of the potentials."""

    frames: FrameSet
    settings: LocalitySettings
    true_forces: Floats | None
    charge_frames: FrameSet | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    removal_rows: list[dict[str, Any]] = field(default_factory=list)
    side_by_side: list[dict[str, Any]] = field(default_factory=list)
    charge_rows: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    profiles: dict[str, LocalityProfile] = field(default_factory=dict)

    def judge(self, name: str, potential: PotentialData, given: Mapping[str, Any]) -> None:
        """Say what is to be said of one potential; one of which nothing can be said does not keep the others.

        :param name: what it is called.
        :param potential: the potential.
        :param given: nodes with its predictions and errors by :data:`PARTS`.
        """
        try:
            self._judge(name, potential, given)
        except ValueError as error:  # no finite prediction of a control, predictions of another set
            self.note_failure(name, str(error))

    def note_failure(self, what: str, reason: str) -> None:
        """Say why nothing, or nothing more, can be said.

        :param what: name of a potential, or what is missing.
        :param reason: why.
        """
        self.failed.append({'what': what, 'reason': reason})
        self.words.append(f'{what}: {reason}.')

    def _judge(self, name: str, potential: PotentialData, given: Mapping[str, Any]) -> None:
        found = _prediction(given[PREDICTIONS])
        findings, self.profiles[name] = locality(self.frames, found, potential.receptive_field, self.settings)
        self.rows.append({'potential': name, **_about(potential), **findings.row()})
        self.words += locality_sentences(name, potential.cutoff_radius, potential.n_layers, findings)
        if self.true_forces is not None:
            self._compare_removal(name, found.forces, given.get(ERRORS))
        if self.charge_frames is not None and CHARGE_PREDICTIONS in given:
            self._compare_charges(name, self.charge_frames, _prediction(given[CHARGE_PREDICTIONS]), findings)

    def _compare_removal(self, name: str, forces: Floats, errors: Dict | None) -> None:
        """Say what one potential misses of a far ion, beside its error on equilibrated frames."""
        rows = ion_removal(self.frames, np.asarray(self.true_forces), forces, self.settings)
        self.removal_rows += [{'potential': name, **row.row()} for row in rows]
        on_equilibrated = {'rows': [], 'summary': {}} if errors is None else errors.get_dict()
        rmse = on_equilibrated['summary'].get('force_rmse_ev_per_angstrom')
        beyond = next((row for row in rows if row.element == ALL and row.to_angstrom is None), None)
        self.side_by_side.append(
            {
                'potential': name,
                'removal': None if beyond is None else beyond.row(),
                'equilibrated_force_rmse_ev_per_angstrom': rmse,
                'equilibrated_by_charge_state': [
                    row for row in on_equilibrated['rows'] if row['scope'] == 'charge_state'
                ],
            }
        )
        self.words.append(removal_sentence(name, rows, rmse))

    def _compare_charges(self, name: str, frames: FrameSet, found: Prediction, findings: LocalityFindings) -> None:
        """Say whether one potential tells the charges of a geometry apart."""
        thresholds = (findings.energy_threshold, findings.force_threshold)
        column = self.settings.charge_column
        blindness = charge_blindness(frames, found.energies, found.forces, column, thresholds)
        self.charge_rows.append({'potential': name, **blindness.row()})
        self.words.append(charge_sentence(name, blindness))

    def values(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        names = ('rows', 'removal_rows', 'side_by_side', 'charge_rows', 'failed')
        closing = [BOTH_QUESTIONS] if self.side_by_side else []
        return {**{name: getattr(self, name) for name in names}, 'words': [*self.words, *closing]}

    def arrays(self) -> ArrayData:
        """Return the profiles of all potentials on their common grid."""
        node = ArrayData()
        for name, profile in self.profiles.items():
            for array_name, array in profile.arrays().items():
                node.set_array('distance' if array_name == 'distance' else f'{name}_{array_name}', array)
        return node


@calcfunction
def locality_report(
    pairs: DatasetData,
    settings: Dict,
    reference: DatasetData | None = None,
    charge_frames: DatasetData | None = None,
    **models: Any,
) -> dict[str, Any]:
    """Judge potentials by what they give for pairs of cells that differ far away.

    :param pairs: what ``locality_pairs`` made.
    :param settings: fields of ``LocalitySettings``.
    :param reference: frames of the pairs with true forces [eV/Å], found again by the column ``locality_frame``.
    :param charge_frames: labelled frames of geometries at several charges, with the columns ``group`` and that of the
        charge.
    :param models: for each potential of a name ``NAME``: ``potential_NAME``, its ``predictions_NAME`` of the pairs and,
        if there are any, ``charge_predictions_NAME`` of the charge frames and ``errors_NAME`` on equilibrated frames.
    :return: ``report`` with ``rows`` (how far each sees), ``removal_rows`` (forces without an ion, by element and
        distance), ``side_by_side`` (that beside the errors on equilibrated frames), ``charge_rows``, ``failed`` (what
        could not be judged, and why) and ``words``;
        ``profiles`` with ``distance`` [Å], and for each potential ``NAME_max_energy_change`` [eV],
        ``NAME_max_force_change`` [eV/Å] and ``NAME_n_atoms``, rows: atoms moved, ions removed, ions added.
    """
    frames = pairs.frames()
    report = _Report(
        frames,
        LocalitySettings.from_dict(settings.get_dict()),
        None,
        None if charge_frames is None else charge_frames.frames(),
    )
    try:
        report.true_forces = None if reference is None else _forces_of(frames, reference.frames())
    except ValueError as error:
        report.note_failure('forces without an ion', str(error))
    for key in sorted(models):
        if key.startswith(f'{POTENTIAL}_'):
            name = key.removeprefix(f'{POTENTIAL}_')
            given = {part: models[f'{part}_{name}'] for part in PARTS if f'{part}_{name}' in models}
            report.judge(name, models[key], given)
    return {'report': Dict(report.values()), 'profiles': report.arrays()}


def _about(potential: PotentialData) -> dict[str, Any]:
    """Return what a potential says of itself."""
    return {
        'architecture': potential.architecture,
        'cutoff_radius_angstrom': potential.cutoff_radius,
        'n_layers': potential.n_layers,
        'training_charge_labels': potential.base.attributes.get(potential.KEY_TRAINING_CHARGE_LABELS),
        'takes_total_charge': potential.total_charge_column is not None,
        'precision': potential.precision,
    }


def _forces_of(frames: FrameSet, labelled: FrameSet) -> Floats:
    """Return forces of all frames [eV/Å], NaN for those without labels."""
    if labelled.forces is None:
        raise ValueError('the reference frames of the pairs have no forces; label them first')
    forces = np.full(frames.positions.shape, np.nan)
    for position, index in enumerate(labelled.columns[FRAME]):
        own = slice(labelled.offsets[position], labelled.offsets[position + 1])
        forces[frames.offsets[index] : frames.offsets[index + 1]] = labelled.forces[own]
    return forces


def _prediction(node: ArrayData) -> Prediction:
    """Return predictions of a node."""
    local = node.get_array('atomic_energies') if 'atomic_energies' in node.get_arraynames() else None
    return Prediction(node.get_array('energies'), node.get_array('forces'), local)
