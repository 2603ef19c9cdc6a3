"""Put what VASP says of single frames together as labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiida.engine import calcfunction
from aiida.orm import ArrayData, Dict
from numpy.typing import NDArray

from aiida_edl.calculations.functions.prepare_vasp_inputs import frame_key
from aiida_edl.data.dataset import DatasetData
from aiida_edl.dft.vasp_settings import VaspSettings
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.units import KILOBAR

PER_FRAME = {
    'energies': (),
    'stresses': (3, 3),
    'fermi_level': (),
    'dispersion_energies': (),
    'work_function': (),
    'vacuum_levels': (2,),
    'n_electrons': (),
    'expected_electrons': (),
    'n_scf_steps': (),
    'maximum_scf_steps': (),
}
"""Labels with a row for each frame, and the shape of a row."""
OPTIONAL = ('dispersion_energies', 'work_function', 'vacuum_levels')
"""Labels that are left out if no frame has them."""
ENERGY_TOLERANCE = 1e-4
"""By how much the free energy of both outputs of a run may differ [eV]; some versions of VASP left parts of it out of
vasprun.xml, and a missing D3 energy is far larger."""
ELECTRON_TOLERANCE = 1e-3
"""By how much the numbers of electrons may differ [e]; VASP prints four decimals."""


@dataclass
class _Labels:
    """Labels of all frames while they are collected."""

    frames: FrameSet
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    wall_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Begin with NaN everywhere."""
        n_frames = len(self.frames)
        self.arrays = {name: np.full((n_frames, *shape), np.nan) for name, shape in PER_FRAME.items()}
        self.arrays['forces'] = np.full((int(self.frames.offsets[-1]), 3), np.nan)
        self.arrays['converged'] = np.zeros(n_frames, dtype=bool)

    def take(self, index: int, misc: Mapping[str, Any], order: NDArray[np.int64]) -> None:
        """Take the labels of one frame, the forces in the order of its atoms."""
        first = int(self.frames.offsets[index])
        self.arrays['forces'][first + order] = np.array(misc['forces'])
        self.arrays['energies'][index] = misc['total_energies']['energy_free']
        self.arrays['stresses'][index] = -np.array(misc['stress']) * KILOBAR  # VASP: positive in compression
        self.arrays['n_scf_steps'][index] = misc['run_status']['last_iteration_index'][1]
        above, below = misc.get('vacuum_level_above'), misc.get('vacuum_level_below')
        if above is not None and below is not None:
            self.arrays['vacuum_levels'][index] = below, above
        values = {
            'maximum_scf_steps': misc['run_status']['nelm'],
            'fermi_level': misc.get('fermi_level'),
            'n_electrons': misc['n_electrons'],
            'dispersion_energies': misc.get('dispersion_energy'),
            'work_function': _difference(above, misc.get('fermi_level')),
        }
        for name, value in values.items():
            self.arrays[name][index] = np.nan if value is None else value
        self.arrays['converged'][index] = True
        self.versions |= {str(misc['version'])} if 'version' in misc else set()
        self.wall_seconds += misc['run_stats'].get('elapsed_time') or 0.0

    def node(self) -> ArrayData:
        """Return a node with all arrays."""
        arrays = {
            name: array for name, array in self.arrays.items() if name not in OPTIONAL or np.isfinite(array).any()
        }
        return ArrayData({**arrays, 'offsets': self.frames.offsets})


def _difference(vacuum_level: float | None, fermi_level: float | None) -> float | None:
    """Return the work function [eV], None if one of the levels is not known."""
    return None if vacuum_level is None or fermi_level is None else vacuum_level - fermi_level


@calcfunction
def collect_vasp_labels(
    dataset: DatasetData, model_parameters: Dict, potentials: Dict, record: Dict, **parts: Any
) -> dict[str, ArrayData | Dict]:
    """Return the labels of all frames in the order of their atoms, and what is known beside them.

    :param dataset: the frames.
    :param model_parameters: fields of ``VaspSettings``.
    :param potentials: what is known of the potential of each element: ``title``, ``sha512``, ``valence``.
    :param record: ``failures``, the reason of each frame that has no result, and ``remedies``, what handlers changed
        for a frame, both by its index.
    :param parts: results of VASP, ``misc_frame_00003`` for each frame that has one, and the order of the sites,
        ``site_order_001`` with an array ``frame_00003`` for each frame.
    :return: ``labels`` and ``label_summary``.
    """
    settings = VaspSettings.from_dict(model_parameters.get_dict())
    valences = {symbol: values['valence'] for symbol, values in potentials.get_dict().items()}
    notes = record.get_dict()
    labels = _Labels(dataset.frames(), failures={int(index): text for index, text in notes['failures'].items()})
    orders = {
        name: node.get_array(name)
        for key, node in parts.items()
        if key.startswith('site_order_')
        for name in node.get_arraynames()
    }
    for index, frame in enumerate(labels.frames):
        key = frame_key(index)
        expected = labels.arrays['expected_electrons'][index] = settings.n_electrons(frame, valences)
        if index in labels.failures:
            continue
        misc = parts[f'misc_{key}'].get_dict()
        reason = refusal(misc, len(frame.numbers), expected)
        if reason is None:
            labels.take(index, misc, orders[key])
        else:
            labels.failures[index] = reason
    return {
        'labels': labels.node(),
        'label_summary': Dict(_summary(settings, labels, potentials.get_dict(), notes['remedies'])),
    }


def refusal(misc: Mapping[str, Any], n_atoms: int, expected_electrons: float) -> str | None:
    """Return why a result gives no label, None if it gives one.

    :param misc: what the parser has read of a calculation that ended well.
    :param n_atoms: atoms of the frame.
    :param expected_electrons: electrons of the frame.
    """
    energies = misc.get('total_energies') or {}
    forces, stress = (np.array([] if misc.get(name) is None else misc[name]) for name in ('forces', 'stress'))
    there = {'energy': 'energy_free' in energies, 'forces': forces.size > 0, 'stress': stress.size > 0}
    if not all(there.values()):
        return f'the output lacks {", ".join(name for name, is_there in there.items() if not is_there)}'
    energy = float(energies['energy_free'])
    if forces.shape != (n_atoms, 3):
        return f'the output is of {len(forces)} atoms, the frame has {n_atoms}'
    if not (np.isfinite(forces).all() and np.isfinite(stress).all() and np.isfinite(energy)):
        return 'the output holds values that are not finite'
    status = misc['run_status']
    if status['last_iteration_index'][1] >= status['nelm']:
        return f'the SCF did not converge in {status["nelm"]} steps'
    printed = float(misc.get('free_energy', energy))
    if abs(printed - energy) > ENERGY_TOLERANCE:
        return f'vasprun.xml gives a free energy of {energy:.6f} eV, OUTCAR {printed:.6f} eV; one of them lacks a part'
    return _wrong_count(misc.get('n_electrons'), expected_electrons)


def _wrong_count(n_electrons: float | None, expected_electrons: float) -> str | None:
    """Return what is wrong with the number of electrons that VASP counted, None if it is that of the frame."""
    if n_electrons is None:
        return 'the output does not say how many electrons VASP counted'
    if abs(n_electrons - expected_electrons) > ELECTRON_TOLERANCE:
        return (
            f'VASP counted {n_electrons:g} electrons, the frame has {expected_electrons:g}; check the total charge and '
            'the potentials'
        )
    return None


def _summary(
    settings: VaspSettings, labels: _Labels, potentials: Mapping[str, Any], remedies: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is known of the labels beside their values."""
    return {
        'level_of_theory': settings.level_of_theory([values['title'] for values in potentials.values()]),
        'charge_convention': settings.charge_convention,
        'potentials': dict(potentials),
        'failures': {str(index): reason for index, reason in sorted(labels.failures.items())},
        'n_frames': len(labels.frames),
        'n_labelled': int(labels.arrays['converged'].sum()),
        'remedies': dict(remedies),
        'versions': {'vasp': ', '.join(sorted(labels.versions))},
        'wall_seconds': labels.wall_seconds,
    }
