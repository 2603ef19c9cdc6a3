"""Fine-tuning in rounds for real: a small MACE that knows LiF crystals meets an interstitial, labelled by GFN1-xTB."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, InstalledCode
from computer_cases import local_computer
from fluoride_cases import CASE, GRADIENT_UPDATES, HYPERPARAMETERS, OPTIONS, cells, labelled, trained

from aiida_edl.workflows.iterative_fine_tuning import IterativeFineTuningWorkChain
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CASE.missing is not None, reason=str(CASE.missing))]

OVERRIDES = {
    'training': {'hyperparameters': HYPERPARAMETERS, 'gradient_updates': GRADIENT_UPDATES},
    'md': {'settings': {'steps': 100, 'sampling_interval': 10}},
    'settings': {
        'exploration': {'temperatures': [600.0, 900.0]},
        'selection': {'n_selected': 8},
        'stop': {'force_error': 0.01, 'rounds': 1},
        'maximum_rounds': 2,
    },
}


@pytest.fixture(scope='module')
def code(aiida_profile, tmp_path_factory):
    """Return the interpreter of the trainer, which has tblite too."""
    computer = local_computer('iterative-fine-tuning-real', tmp_path_factory.mktemp('work'))
    return InstalledCode(computer, str(CASE.python.absolute()), label='iterative-fine-tuning-mace').store()


@pytest.fixture(scope='module')
def parent(code):
    """Return a potential that has seen the crystal alone."""
    return trained(labelled(cells(16, has_interstitial=False, spread=0.08, seed=1), code), 12, code)


@pytest.fixture(scope='module')
def tuned(code, parent):
    """Return two rounds that begin with test frames alone."""
    test = labelled(cells(6, has_interstitial=True, spread=0.1, seed=2), code)
    none = np.zeros(0, dtype=int)
    builder = IterativeFineTuningWorkChain.get_builder_from_protocol(
        {'training': code, 'labelling': code},
        parent_potential=parent,
        dataset=test,
        split=ArrayData({'training': none, 'validation': none, 'test': np.arange(test.n_frames)}),
        structures={
            'crystal': cells(2, has_interstitial=False, spread=0.02, seed=3),
            'interstitial': cells(2, has_interstitial=True, spread=0.02, seed=4),
        },
        engine='ase_calculator',
        model_parameters=gfn1_xtb(),
        overrides=OVERRIDES,
        options=dict.fromkeys(('training', 'labelling'), OPTIONS),
    )
    return run_get_node(builder)[1]


def test_it_ends_by_its_rule_or_after_its_rounds(tuned):
    assert tuned.exit_status in (0, 700, 701), tuned.exit_message
    names = [f'round_{row["round"]:02d}' for row in tuned.outputs.report['rounds']]
    assert sorted(tuned.outputs.potentials) == names


def test_every_frame_is_accounted_for(tuned):
    for row in tuned.outputs.report['rounds'][1:]:
        assert row['n_unphysical'] + row['n_selected'] <= row['n_frames'] <= row['n_planned'] == 40
        assert row['n_labelled'] + row['n_rejected'] == row['n_selected']


def test_energy_of_the_new_composition_is_learnt(tuned):
    """The parent has seen one composition, which does not say what one Li more costs: its error is some eV/atom."""
    first, last = (tuned.outputs.report['rounds'][index] for index in (0, -1))
    assert last['test_energy_rmse_ev_per_atom'] < 0.2 * first['test_energy_rmse_ev_per_atom']


def test_own_error_falls_by_more_than_its_uncertainty(tuned):
    """The error on the test frames need not: they are rattled cells, which the dynamics does not visit."""
    first, last = tuned.outputs.report['rounds'][1:]
    bars = [row['own_force_rmse_error_ev_per_angstrom'] for row in (first, last)]
    fall = first['own_force_rmse_ev_per_angstrom'] - last['own_force_rmse_ev_per_angstrom']
    assert fall > np.hypot(*bars) > 0
