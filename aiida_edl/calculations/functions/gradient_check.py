"""Check the labels of an engine against each other by the energies of deformed frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict

from aiida_edl.data.dataset import DatasetData
from aiida_edl.science import gradient_check as science
from aiida_edl.science.frames import Frame
from aiida_edl.science.gradient_check import N_FORCE_PROBES, N_STRESS_PROBES, GradientSettings, Verdict, WorkCheck

BY_WEIGHT = (Verdict.FAILED, Verdict.INEXACT, Verdict.PASSED, Verdict.UNDECIDED)
"""Of several verdicts the first of these is that of all: what cannot be decided does not outweigh what can."""


@calcfunction
def gradient_probes(dataset: DatasetData, settings: Dict) -> DatasetData:
    """Return the frames whose energies tell whether the labels of one frame of a data set are right.

    :param dataset: labelled frames.
    :param settings: fields of ``GradientSettings``.
    :return: the frame with the largest force, moved along its forces there and back and, if it has a stress,
        compressed and strained.
    """
    index, frame = _probed(dataset)
    probes = science.probe_frames(frame, GradientSettings.from_dict(settings.get_dict()))
    return DatasetData.from_frames(
        probes, origin=f'frame {index} of {dataset.uuid}, deformed', n_wet_sides=dataset.n_wet_sides
    )


@calcfunction
def gradient_verdict(dataset: DatasetData, probes: DatasetData, labels: ArrayData, settings: Dict) -> Dict:
    """Compare the work of forces and stress with the change of the energy.

    :param dataset: labelled frames, one of which was deformed.
    :param probes: that frame, deformed.
    :param labels: labels of the probes.
    :param settings: fields of ``GradientSettings``.
    :return: ``verdict`` (``passed``, ``inexact``, ``failed`` or ``undecided``), ``reason``, ``frame``, the index of the
        frame that was deformed, and for ``forces`` and ``stress`` each ``verdict``, ``work`` [eV], ``energy_change``
        [eV] and ``reason``.
    """
    limits = GradientSettings.from_dict(settings.get_dict())
    index, frame = _probed(dataset)
    energies = labels.get_array('energies')
    checks = {'forces': science.check_forces(frame, energies[:N_FORCE_PROBES], limits)}
    if probes.n_frames == N_FORCE_PROBES + N_STRESS_PROBES and 'stresses' in labels.get_arraynames():
        stress = labels.get_array('stresses')[N_FORCE_PROBES]
        checks['stress'] = science.check_stress(probes.frames(), energies[N_FORCE_PROBES:], stress, limits)
    as_dicts = {name: {**dataclasses.asdict(check), 'verdict': check.verdict.value} for name, check in checks.items()}
    return Dict({**_in_sum(checks), 'frame': index, **as_dicts})


def _probed(dataset: DatasetData) -> tuple[int, Frame]:
    """Return index and frame of the one with the largest force, in which an error shows best.

    :raises ValueError: if the data set has no forces.
    """
    frames = dataset.frames()
    if frames.forces is None:
        raise ValueError('the data set has no forces, so there is nothing to check; label it first')
    largest = np.maximum.reduceat(np.linalg.norm(frames.forces, axis=1), frames.offsets[:-1])
    index = int(np.argmax(largest))
    return index, frames.frame(index)


def _in_sum(checks: dict[str, WorkCheck]) -> dict[str, Any]:
    """Return the verdict of all checks: the worst of those that are decided."""
    verdicts = {check.verdict for check in checks.values()}
    reasons = [f'{name}: {check.reason}' for name, check in checks.items() if check.reason]
    return {
        'verdict': next(verdict.value for verdict in BY_WEIGHT if verdict in verdicts),
        'reason': '; '.join(reasons),
    }
