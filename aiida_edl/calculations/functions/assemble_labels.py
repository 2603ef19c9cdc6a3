"""Turn labels into a data set; those that do not pass the gate are listed with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frame_columns import RESULT_COLUMNS
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.label_gate import GateSettings, LabelDiagnostics, Rejection, gate_labels

PER_ATOM = ('forces', 'charges')
"""Labels with a row for each atom; all others have one for each frame."""
COLUMNS = ('metal_potential', 'electrode_potential', 'fermi_level', 'work_function', 'n_electrons', 'n_scf_steps')
"""Labels that become columns of the data set."""
DIAGNOSTICS = ('n_scf_steps', 'maximum_scf_steps', 'n_electrons', 'expected_electrons', 'vacuum_fields')
"""Labels that the gate looks at, and what the engine says of them."""
KNOWN = {'energies', 'forces', 'stresses', 'charges', *COLUMNS, *DIAGNOSTICS}
"""What is taken from labels; others, as potentials along z, stay with them."""


@dataclass(frozen=True)
class _Pack:
    """Consecutive frames that were labelled by one job."""

    key: str
    """Name of the input that describes it."""
    n_frames: int
    """Frames of the pack."""
    labels: ArrayData | None
    """Labels of its frames; None if the job left none."""
    reasons: Mapping[int, str]
    """What the engine says of frames that failed, by index in the pack."""

    @property
    def has_labels(self) -> bool:
        """Whether at least one frame is labelled."""
        return self.labels is not None and bool(self.labels.get_array('converged').any())


@calcfunction
def assemble_labels(dataset: DatasetData, gate: Dict, **parts: Any) -> dict[str, DatasetData | Dict]:
    """Return the labelled frames that pass the gate as ``dataset`` and the others, with reasons, as ``rejected``.

    :param dataset: the frames that were labelled.
    :param gate: fields of ``GateSettings``.
    :param parts: consecutive parts of the frames, numbered: ``labels_001`` and ``summary_001`` (labels, and what the
        engine says of them), or ``missing_001`` (``n_frames`` and ``reason``) for a part that got no labels.
    :return: ``dataset`` (absent if no frame passes) and ``rejected``: ``frames`` (a list of ``frame``, its index,
        ``reason``, and ``findings``, each with ``check``, ``value`` and ``limit``), ``n_frames``, ``n_rejected``,
        ``notes`` (checks that could not be made).
    """
    packs = _packs(parts)
    frames, diagnostics = _labelled(dataset.frames(), packs)
    report = gate_labels(frames, diagnostics, GateSettings.from_dict(gate.get_dict()))
    outputs: dict[str, DatasetData | Dict] = {
        'rejected': Dict(
            {
                'frames': [as_dict(rejection) for rejection in report.rejected],
                'n_frames': len(frames),
                'n_rejected': len(report.rejected),
                'notes': [*report.notes, *_left_out(packs), *_said_of_all(parts, 'notes')],
                'gate': gate.get_dict(),
            }
        )
    }
    if len(report.accepted):
        conventions = _said_of_all(parts, 'charge_convention')
        levels = sorted({parts[key]['level_of_theory'] for key in parts if key.startswith('summary_')})
        outputs['dataset'] = DatasetData.from_frames(
            frames.select(report.accepted),
            level_of_theory='; '.join(levels),
            origin=dataset.base.attributes.get(dataset.KEY_ORIGIN),
            n_wet_sides=dataset.n_wet_sides,
            attributes={'charge_convention': '; '.join(conventions)} if conventions else None,
        )
    return outputs


def _said_of_all(parts: Mapping[str, Any], name: str) -> list[str]:
    """Return what the engine says of its labels under a name, each text once."""
    texts: list[str] = []
    for key in in_natural_order([key for key in parts if key.startswith('summary_')]):
        said = parts[key].get_dict().get(name) or []
        texts += [text for text in ([said] if isinstance(said, str) else said) if text not in texts]
    return texts


def _left_out(packs: Sequence[_Pack]) -> list[str]:
    """Return a note on each label that a part of the frames has, and the data set has not."""
    there = [(pack, set(pack.labels.get_arraynames())) for pack in packs if pack.labels is not None and pack.has_labels]
    notes = []
    for name in ('stresses', 'charges', *COLUMNS):
        n_with = sum(pack.n_frames for pack, names in there if name in names)
        n_all = sum(pack.n_frames for pack, _ in there)
        if 0 < n_with < n_all:
            notes.append(f'{name} are left out, as only {n_with} of {n_all} frames have them')
    return notes


def _packs(parts: Mapping[str, Any]) -> list[_Pack]:
    """Return the packs in the order of their numbers."""
    packs = []
    by_number = {key.partition('_')[2]: key for key in parts if not key.startswith('summary_')}
    for number in in_natural_order(by_number):
        key = by_number[number]
        if key.startswith('missing_'):
            values = parts[key].get_dict()
            packs.append(
                _Pack(key, values['n_frames'], None, dict.fromkeys(range(values['n_frames']), values['reason']))
            )
        else:
            failures = parts[f'summary_{number}'].get_dict().get('failures', {})
            n_frames = len(parts[key].get_array('converged'))
            packs.append(_Pack(key, n_frames, parts[key], {int(index): text for index, text in failures.items()}))
    return packs


def as_dict(rejection: Rejection) -> dict[str, Any]:
    """Return a rejected frame as it is stored."""
    findings = [
        {'check': finding.check, 'value': finding.value, 'limit': finding.limit} for finding in rejection.findings
    ]
    return {'frame': rejection.frame, 'reason': rejection.reason, 'findings': findings}


def _labelled(frames: FrameSet, packs: Sequence[_Pack]) -> tuple[FrameSet, LabelDiagnostics]:
    """Return the frames with the labels of consecutive packs, and what the engine says of them.

    Labels that some pack with labelled frames lacks are left out; what the engine says beside them, and frames of a
    pack without any, hold NaN.

    :raises ValueError: if a pack is not of the frames whose turn it is.
    """
    _check_packs(frames, packs)
    labelled = [pack.labels for pack in packs if pack.labels is not None and pack.has_labels]
    shapes: dict[str, tuple[int, ...]] = {'energies': (), 'forces': (3,)}
    if labelled:
        there = [set(labels.get_arraynames()) & KNOWN for labels in labelled]
        names = set.intersection(*there) | (set.union(*there) & set(DIAGNOSTICS))
        shapes = {
            name: next(labels.get_array(name).shape[1:] for labels, given in zip(labelled, there) if name in given)
            for name in sorted(names)
        }
    joined = {
        name: np.full((len(frames.numbers) if name in PER_ATOM else len(frames), *shape), np.nan)
        for name, shape in shapes.items()
    }
    converged = np.zeros(len(frames), dtype=bool)
    failures: dict[int, str] = {}
    start = 0
    for pack in packs:
        stop = start + pack.n_frames
        failures |= {start + index: reason for index, reason in pack.reasons.items()}
        if pack.labels is not None and pack.has_labels:
            converged[start:stop] = pack.labels.get_array('converged')
            atoms = slice(int(frames.offsets[start]), int(frames.offsets[stop]))
            for name, values in joined.items():
                if name not in pack.labels.get_arraynames():
                    continue  # a diagnostic that this pack does not have
                values[atoms if name in PER_ATOM else slice(start, stop)] = pack.labels.get_array(name)
        start = stop
    kept = {name: column for name, column in frames.columns.items() if name not in RESULT_COLUMNS}
    arrays = frames.without_labels().replaced_columns(kept).to_arrays()
    arrays |= {name: joined[name] for name in ('energies', 'forces', 'stresses', 'charges') if name in joined}
    columns = {name: joined[name] for name in COLUMNS if name in joined}
    known = {name: joined[name] for name in DIAGNOSTICS if name in joined}
    labelled_frames = FrameSet.from_arrays(arrays).with_columns(**columns)
    return labelled_frames, LabelDiagnostics(converged=converged, failures=failures, **known)


def _check_packs(frames: FrameSet, packs: Sequence[_Pack]) -> None:
    """Check that the packs are of these frames, as far as the numbers of frames and atoms tell.

    :raises ValueError: if they are not.
    """
    n_labelled = sum(pack.n_frames for pack in packs)
    if n_labelled != len(frames):
        raise ValueError(
            f'the parts hold {n_labelled} frames, but the data set has {len(frames)}; give one part for each pack of '
            'its frames'
        )
    n_atoms = np.diff(frames.offsets)
    start = 0
    for pack in packs:
        if pack.labels is not None:
            found = np.diff(pack.labels.get_array('offsets'))
            wrong = np.flatnonzero(found != n_atoms[start : start + pack.n_frames])
            if len(wrong):
                index = int(wrong[0])
                raise ValueError(
                    f'{pack.key} has labels of {found[index]} atoms for frame {start + index}, which has '
                    f'{n_atoms[start + index]}; number the parts in the order of the frames'
                )
        start += pack.n_frames
