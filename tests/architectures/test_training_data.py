from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from aiida_edl.architectures.base import TrainingJobError
from aiida_edl.architectures.mace import Mace
from aiida_edl.architectures.precision import Precision
from aiida_edl.architectures.sevennet import Sevennet
from aiida_edl.architectures.testing import example_frames, example_job
from aiida_edl.architectures.training_data import (
    check_fine_tuning,
    check_training_job,
    energies_and_forces_only,
    maximum_neighbours,
    periodic_across_vacuum,
    steps_with_evaluations,
    subtract_atomic_energies,
)
from aiida_edl.science.frames import Frame, FrameSet


def gold(size: int = 1) -> FrameSet:
    atoms = bulk('Au', 'fcc', a=4.0, cubic=True).repeat(size)
    return FrameSet.from_frames(
        [Frame(atoms.numbers.astype(np.uint8), atoms.positions, atoms.cell.array, np.array([True] * 3))]
    )


@pytest.fixture
def job():
    return example_job(Mace())


def test_good_job_passes(job):
    check_training_job(job, batch_size=4)


def test_missing_labels_are_named(job):
    with pytest.raises(TrainingJobError) as caught:
        check_training_job(replace(job, validation_set=job.validation_set.without_labels()), batch_size=4)
    assert str(caught.value) == 'the validation set lacks energies or forces; label its 2 frames first'


def test_unknown_element_is_named(job):
    with pytest.raises(TrainingJobError) as caught:
        check_training_job(replace(job, elements=('H', 'O')), batch_size=4)
    assert str(caught.value) == "the training set holds ['Au'], the model knows ['H', 'O']; add them"


def test_missing_atomic_energy_is_named(job):
    with pytest.raises(TrainingJobError) as caught:
        check_training_job(replace(job, atomic_energies={'H': 0.0, 'O': 0.0, 'Au': 0.0}), batch_size=4)
    assert str(caught.value) == "no atomic energy is given for ['Na'], given are ['Au', 'H', 'O']"


@pytest.mark.parametrize('batch_size', [0, 9])
def test_batch_must_fit_the_set(job, batch_size):
    with pytest.raises(TrainingJobError) as caught:
        check_training_job(job, batch_size=batch_size)
    assert str(caught.value) == f'batch_size is {batch_size}, it must lie between 1 and the 8 training frames'


def test_labels_from_which_nothing_is_learnt_are_refused(job):
    frames = replace(job.training_set, forces=np.zeros_like(job.training_set.forces))
    with pytest.raises(TrainingJobError) as caught:
        check_training_job(replace(job, training_set=frames), batch_size=4)
    assert str(caught.value) == (
        'all forces of the training set are zero, from which nothing is learnt; label its 8 frames again, '
        'or import them under the name their forces have'
    )


def test_precision_in_which_the_trainer_cannot_work_is_refused():
    with pytest.raises(TrainingJobError) as caught:
        check_fine_tuning(Sevennet(), example_job(Sevennet(), precision=Precision.DOUBLE))
    assert str(caught.value) == 'precision is float64, sevennet trains in float32 only'


def test_target_must_be_positive(job):
    with pytest.raises(TrainingJobError) as caught:
        check_training_job(replace(job, gradient_updates=0), batch_size=4)
    assert str(caught.value) == 'gradient_updates is 0, it must be at least 1'


@pytest.mark.parametrize(
    ('at_least', 'n_evaluations', 'expected'),
    [(0, 20, (0, 1)), (1, 20, (1, 1)), (1000, 20, (1000, 50)), (200, 20, (200, 10)), (7, 8, (7, 1)), (97, 5, (98, 14))],
)
def test_steps_with_evaluations_exact(at_least, n_evaluations, expected):
    assert steps_with_evaluations(at_least, n_evaluations) == expected


@pytest.mark.parametrize('at_least', range(1, 400, 7))
def test_last_step_is_evaluated_and_target_hardly_exceeded(at_least):
    steps, interval = steps_with_evaluations(at_least, 20)
    assert steps % interval == 0
    assert at_least <= steps <= at_least + interval


def test_energies_and_forces_alone_remain():
    frames = example_frames(2, seed=1)
    reduced = energies_and_forces_only(replace(frames, charges=np.zeros(14)))
    assert set(reduced.to_arrays()) == {'numbers', 'positions', 'offsets', 'cells', 'pbc', 'energies', 'forces'}


def test_atomic_energies_are_taken_off():
    frames = example_frames(3, seed=1)
    reduced = subtract_atomic_energies(frames, {'Au': 10.0, 'O': 3.0, 'H': 0.5, 'Na': 99.0})
    # Four gold atoms, one water molecule.
    np.testing.assert_allclose(frames.energies - reduced.energies, 4 * 10.0 + 3.0 + 2 * 0.5, rtol=1e-14)


def test_film_with_wide_vacuum_becomes_periodic():
    assert periodic_across_vacuum(example_frames(2, seed=1), 6.0).pbc.all()


def test_film_with_narrow_vacuum_is_refused():
    frames = example_frames(1, seed=1)
    positions = frames.positions.copy()
    positions[:, 2] = [2, 2, 2, 2, 5, 5, 5]
    flat = replace(frames, positions=positions, cells=np.diag([5.8, 5.8, 8.0])[None])
    with pytest.raises(TrainingJobError) as caught:
        periodic_across_vacuum(flat, 6.0)
    assert str(caught.value) == (
        'frame 0 has 5.00 Å of vacuum along its open cell vector 2, less than the cutoff radius 6.0 Å; '
        'lengthen that cell vector by 1.00 Å'
    )


def test_vacuum_is_measured_across_a_tilted_cell():
    frames = example_frames(1, seed=1)
    positions = np.zeros((7, 3))
    positions[:, 2] = np.linspace(0, 4, 7)
    # The open vector is 12.5 Å long, but the faces of the cell are 10 Å apart.
    cell = np.array([[5.8, 0, 0], [0, 5.8, 0], [7.5, 0, 10.0]])
    tilted = replace(frames, positions=positions, cells=cell[None])
    assert periodic_across_vacuum(tilted, 5.9).pbc.all()
    with pytest.raises(TrainingJobError, match=r'^frame 0 has 6\.00 Å of vacuum'):
        periodic_across_vacuum(tilted, 6.1)


def test_molecule_without_periodicity_stays_open():
    frames = example_frames(1, seed=1)
    assert not periodic_across_vacuum(replace(frames, pbc=np.zeros((1, 3), dtype=bool)), 6.0).pbc.any()


@pytest.mark.parametrize(('cutoff', 'expected'), [(3.0, 12), (4.1, 18), (5.0, 42)])
def test_neighbours_in_fcc_are_those_of_its_shells(cutoff, expected):
    # Shells of fcc with a = 4 Å: 12 at 2.83 Å, 6 at 4 Å, 24 at 4.90 Å.
    assert maximum_neighbours(gold(), cutoff, ('Au', 'Na')) == {'Au': expected, 'Na': 0}


def test_neighbours_do_not_depend_on_the_choice_of_cell():
    assert maximum_neighbours(gold(1), 5.0, ('Au',)) == maximum_neighbours(gold(2), 5.0, ('Au',))


def test_neighbours_are_counted_by_element():
    # Each gold atom of the rattled film sees the three others of its own layer, across the boundaries twice over.
    counted = maximum_neighbours(example_frames(1, seed=1), 3.3, ('H', 'O', 'Au'))
    assert counted == {'H': 2, 'O': 1, 'Au': 4}
