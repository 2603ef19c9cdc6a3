"""What a locality test reports of two potentials, from predictions that are made without a job."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.orm import ArrayData, Dict
from calculation_cases import dataset, labelled_frames, potential
from toy.layered_model import LayeredModel

from aiida_edl.calculations.functions.error_metrics import error_metrics
from aiida_edl.calculations.functions.locality_pairs import locality_pairs, removal_pairs
from aiida_edl.calculations.functions.locality_report import locality_report
from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.locality_queries import locality_results
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.locality_pairs import FRAME

MODEL = LayeredModel(cutoff_radius=4.0, n_layers=1)
SETTINGS = {'frame_indices': [2, 3], 'n_moved': 1, 'far': 2.0, 'charge_column': 'q', 'charges': [-1.0, 1.0]}


def predicted(frames: FrameSet, strength: float = 1.0) -> ArrayData:
    found = MODEL.predict(frames)
    arrays = {'energies': found.energies, 'forces': strength * found.forces, 'offsets': frames.offsets}
    node = ArrayData({**arrays, 'frame_indices': np.arange(len(frames))})
    if strength == 1.0:
        node.set_array('atomic_energies', found.atomic_energies)
    return node


def labelled(frames: FrameSet) -> FrameSet:
    found = MODEL.predict(frames)
    return replace(frames, energies=found.energies, forces=found.forces)


@pytest.fixture(scope='module')
def report(aiida_profile):
    settings = Dict(SETTINGS)
    pairs = locality_pairs(dataset(labelled_frames(4)), settings)
    frames = pairs.frames()
    subset = removal_pairs(pairs).frames()
    equilibrated = labelled(labelled_frames(4))
    charged = labelled(labelled_frames(2).without_labels().with_columns(q=np.array([-1.0, 1.0]), group=0))
    charged = replace(
        charged, positions=np.tile(charged.positions[:8], (2, 1)), numbers=np.tile(charged.numbers[:8], 2)
    )
    charged = replace(charged, energies=np.array([-3.0, -1.0]))
    inputs = {}
    for name, strength in (('right', 1.0), ('half', 0.5)):
        errors = error_metrics(dataset(equilibrated), predicted(equilibrated, strength))
        inputs |= {
            f'potential_{name}': potential(),
            f'predictions_{name}': predicted(frames, strength),
            f'charge_predictions_{name}': predicted(charged, strength),
            f'errors_{name}': errors,
        }
    # The labels come back in another order and without the first frame, as a gate may have it.
    kept = np.arange(len(subset))[:0:-1]
    reference = dataset(labelled(subset.select(kept)))
    charge_frames = DatasetData.from_frames(charged, level_of_theory='made by hand')
    return locality_report(pairs, settings, reference=reference, charge_frames=charge_frames, **inputs)


def test_rows_are_those_of_each_potential(report):
    half, right = report['report'].get_dict()['rows']
    assert (half['potential'], half['has_local_energies']) == ('half', False)
    assert (right['potential'], right['has_local_energies'], right['architecture']) == ('right', True, 'least_squares')
    assert 0 < right['energy_range_angstrom'] <= 4.0
    assert (right['charge_energy_change_ev'], right['charge_force_change_ev_per_angstrom']) == (0.0, 0.0)


def test_labels_are_matched_by_frame_and_errors_stand_beside(report):
    half, right = report['report'].get_dict()['side_by_side']
    assert right['removal']['n_pairs'] == 2  # the labels of one base frame are missing
    assert (right['removal']['slope'], right['removal']['error_rms_ev_per_angstrom']) == (pytest.approx(1.0), 0.0)
    assert half['removal']['slope'] == pytest.approx(0.5, rel=1e-12)
    assert right['equilibrated_force_rmse_ev_per_angstrom'] == 0.0
    assert half['equilibrated_force_rmse_ev_per_angstrom'] > 0.0
    assert [row['name'] for row in half['equilibrated_by_charge_state']] == ['0', '2Na']


def test_blind_potential_meets_its_floor(report):
    for row in report['report'].get_dict()['charge_rows']:
        assert (row['is_blind'], row['energy_floor_ev']) == (True, 1.0)
        assert row['energy_rmse_ev'] >= 1.0


def test_figure_data_are_on_one_grid(report):
    profiles = report['profiles']
    n_bins = len(profiles.get_array('distance'))
    for name in ('right', 'half'):
        assert profiles.get_array(f'{name}_max_force_change').shape == (3, n_bins)
    assert np.isnan(profiles.get_array('half_max_energy_change')).all()


def test_words_end_with_what_the_numbers_answer(report):
    words = report['report'].get_dict()['words']
    assert words[-1].startswith('Two questions, two numbers.')
    assert sum('no training can bring its error below 1 eV' in sentence for sentence in words) == 2


def test_results_can_be_asked_for(report):
    found = {row.potential: row for row in locality_results() if row.report == report['report'].uuid}
    assert set(found) == {'half', 'right'}
    assert (found['half'].removal_slope, found['right'].is_charge_blind) == (pytest.approx(0.5), True)
    assert found['right'].energy_range_angstrom == report['report'].get_dict()['rows'][1]['energy_range_angstrom']


def test_removal_pairs_hold_bases_and_removed_ions(aiida_profile):
    pairs = locality_pairs(dataset(labelled_frames(4)), Dict({'frame_indices': [2], 'n_moved': 1}))
    frames = removal_pairs(pairs).frames()
    assert frames.columns['locality_kind'].tolist() == ['base', 'removed', 'removed']
    assert frames.columns[FRAME].tolist() == [0, len(pairs.frames()) - 2, len(pairs.frames()) - 1]


def test_potential_of_which_nothing_can_be_said_does_not_keep_the_others(aiida_profile):
    settings = Dict({'frame_indices': [2], 'n_moved': 1})
    pairs = locality_pairs(dataset(labelled_frames(4)), settings)
    frames = pairs.frames()
    lost = ArrayData({name: predicted(frames).get_array(name) * np.nan for name in ('energies', 'forces')})
    models = {'potential_lost': potential(), 'predictions_lost': lost}
    models |= {'potential_right': potential(), 'predictions_right': predicted(frames)}
    unlabelled = dataset(removal_pairs(pairs).frames().without_labels())
    found = locality_report(pairs, settings, reference=unlabelled, **models)['report'].get_dict()
    assert [row['potential'] for row in found['rows']] == ['right']
    assert found['failed'] == [
        {
            'what': 'forces without an ion',
            'reason': 'the reference frames of the pairs have no forces; label them first',
        },
        {
            'what': 'lost',
            'reason': 'no control has a finite prediction, so that the noise of the potential is not known',
        },
    ]
    assert found['words'][1].startswith('lost: no control has a finite prediction')
