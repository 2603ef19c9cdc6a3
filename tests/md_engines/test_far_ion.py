"""What a far ion does by the classical truth: taken away with its charge on the metal, far forces change a lot."""

from __future__ import annotations

import numpy as np
import pytest
from electrode_cases import MODEL, run_lammps

from aiida_edl.md_engines.base import MDJob, MDSettings
from aiida_edl.md_engines.electrode import ElectrodeEngine
from aiida_edl.md_engines.electrode_labels import ARGUMENTS, label_files, plan_labels, read_labels
from aiida_edl.science.analysis.ion_removal import ion_removal
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.locality_pairs import LocalitySettings, locality_pairs
from aiida_edl.science.structures.metal_water_interface import InterfaceSettings, build_interface

pytestmark = pytest.mark.slow

MD = MDSettings(
    steps=900, equilibration_steps=1000, sampling_interval=300, seed=3, fixed_elements=('Au',), wall_height=25.0
)
LOCALITY = LocalitySettings(frame_indices=(0, 1, 2), n_moved=0, far=6.0)


@pytest.fixture(scope='module')
def rows(tmp_path_factory):
    """Return the change of the true forces beside a potential that knows nothing of the ion."""
    folder = tmp_path_factory.mktemp('far-ion')
    frame = build_interface(
        InterfaceSettings(repeat=(3, 4, 3), n_water=40, n_ions=1, ion_window=(9.0, 12.0), seed=5)
    ).frame
    engine, job = ElectrodeEngine(), MDJob(frame, MD, MODEL.to_dict(), {})
    run_lammps(folder / 'md', engine.files(job), engine.commands(job)[0].arguments)
    trajectory = engine.read(folder / 'md', frame, MD).trajectory
    assert trajectory is not None
    pairs = locality_pairs(trajectory, LOCALITY)
    truth = labelled(folder / 'labels', pairs)
    found = ion_removal(pairs, truth, np.zeros_like(truth), LOCALITY)
    return {row.element: row for row in found if row.to_angstrom is None}


def labelled(folder, pairs: FrameSet) -> np.ndarray:
    plan = plan_labels(pairs)
    run_lammps(folder, label_files(pairs, MODEL, plan), ARGUMENTS)
    labels = read_labels(folder, pairs, plan)
    assert labels.is_converged.all(), labels.failures
    return labels.forces


def test_force_on_far_water_changes_by_most_of_a_thermal_force(rows):
    """In 120 ps of such a cell 0.67 eV/Å on O and 0.34 eV/Å on H were found; here in three frames."""
    print({name: (row.reference_rms_ev_per_angstrom, row.n_atoms) for name, row in rows.items()})  # noqa: T201
    assert 0.4 < rows['O'].reference_rms_ev_per_angstrom < 1.0
    assert 0.2 < rows['H'].reference_rms_ev_per_angstrom < 0.5


def test_oxygen_feels_twice_what_hydrogen_feels(rows):
    """The field of the metal acts on charges of -0.82 e and 0.41 e."""
    ratio = rows['O'].reference_rms_ev_per_angstrom / rows['H'].reference_rms_ev_per_angstrom
    assert ratio == pytest.approx(2.0, abs=0.2)


def test_error_is_over_frames(rows):
    assert rows['O'].n_pairs == 3
    assert 0 < rows['O'].reference_rms_error_ev_per_angstrom < 0.3
