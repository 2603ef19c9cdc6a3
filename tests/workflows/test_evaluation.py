"""Frames without a prediction are a warning that says how many; the errors are those of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict
from calculation_cases import ATOMIC_ENERGIES, ELEMENTS, dataset, evaluation_inputs, labelled_frames, potential, split
from toy.least_squares import SOURCE

from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.evaluation import EvaluationWorkChain

SPLIT = {'training': [0, 1, 2, 3, 7], 'test': [5, 6, 9]}
"""The second of the test frames holds sodium."""


def picky_potential() -> PotentialData:
    """Return the toy potential with a calculator that fails for frames with sodium."""
    whole = potential()
    name = whole.base.repository.list_object_names()[0]
    source = whole.base.repository.get_object_content(name)
    first = '        """Compute energy [eV], without atomic energies, and forces [eV/Å]."""\n'
    assert first in source
    refusal = "        if 'Na' in atoms.symbols:\n            raise CalculationFailed('no sodium')\n"
    picky = source.replace(first, first + refusal).replace(
        'import Calculator,', 'import CalculationFailed, Calculator,'
    )
    return PotentialData.from_model(
        {SOURCE.name: picky.encode()},
        architecture='least_squares',
        elements=ELEMENTS,
        cutoff_radius=4.0,
        n_layers=1,
        training_charge_labels=['0', '2Na'],
        level_of_theory='Lennard-Jones',
        atomic_energies=ATOMIC_ENERGIES,
        embeds_atomic_energies=False,
        precision='float64',
        seed=1,
        gradient_updates=5,
    )


def evaluate(code, **changes):
    return run_get_node(EvaluationWorkChain, evaluation=evaluation_inputs(code, split=split(**SPLIT), **changes))


def test_failed_frame_is_a_warning_and_the_errors_are_those_of_the_others(python_code):
    outputs, node = evaluate(python_code, potential=picky_potential())
    assert (node.exit_status, node.exit_message) == (
        700,
        '1 of 3 frames have no finite prediction; the errors are those of the others',
    )
    summary = outputs['errors'].get_dict()['summary']
    assert (summary['n_frames'], summary['failed_frames']) == (2, [1])
    assert 'predictions' in outputs
    whole, _ = run_get_node(EvaluationWorkChain, evaluation=evaluation_inputs(python_code, split=split(test=[5, 9])))
    expected = whole['errors'].get_dict()['summary']['force_rmse_ev_per_angstrom']
    assert summary['force_rmse_ev_per_angstrom'] == pytest.approx(expected, rel=1e-12)


def test_evaluation_of_every_frame_ends_without_a_warning(python_code):
    outputs, node = evaluate(python_code)
    assert node.is_finished_ok, node.exit_message
    assert outputs['errors'].get_dict()['summary']['n_frames'] == 3


FITTED = {'energy_zero': 'fitted_per_element'}


def test_potential_of_another_zero_of_energy_is_compared_after_a_fit(python_code):
    """The labels are moved by 7 eV for each gold atom: no error changes, and the fit says by how much."""
    frames = labelled_frames()
    moved = dataset(replace(frames, energies=frames.energies + 7.0 * 2))
    every = split(training=[0, 1], validation=[2], test=[3, 4, 5, 6, 7, 8, 9])
    results = []
    for chosen in (dataset(), moved):
        inputs = evaluation_inputs(python_code, dataset=chosen, split=every)
        outputs, node = run_get_node(EvaluationWorkChain, evaluation=inputs, error_settings=Dict(FITTED))
        assert node.is_finished_ok, node.exit_message
        results.append(outputs['errors'].get_dict()['summary'])
    first, second = results
    assert second['energy_rmse_ev_per_atom'] == pytest.approx(first['energy_rmse_ev_per_atom'], rel=1e-6)
    assert second['force_rmse_ev_per_angstrom'] == pytest.approx(first['force_rmse_ev_per_angstrom'], rel=1e-9)
    composition = {'Au': 2, 'O': 2, 'H': 4}
    shifts = [sum(n * item['energy_shifts_ev'][symbol] for symbol, n in composition.items()) for item in results]
    assert shifts[0] - shifts[1] == pytest.approx(14.0, abs=1e-6)


@pytest.mark.parametrize(
    ('settings', 'test', 'message'),
    [
        (
            {'energy_zero': 'fitted_per_elment'},
            [5, 9],
            "unknown energy_zero of errors 'fitted_per_elment': did you mean 'fitted_per_element'?",
        ),
        (
            FITTED,
            [5, 6],
            '2 frames of 2 independent compositions are fitted exactly by energies of the elements, which leaves no '
            "error; give more than 2 frames, or compare energies 'as_predicted'",
        ),
    ],
    ids=['unknown', 'too few frames'],
)
def test_wrong_error_settings_are_refused_before_submission(python_code, settings, test, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is what is tested)
        evaluate_with(python_code, settings, test)
    assert message in str(caught.value)


def evaluate_with(code, settings, test):
    inputs = evaluation_inputs(code, split=split(training=[0], validation=[1], test=test))
    return run_get_node(EvaluationWorkChain, evaluation=inputs, error_settings=Dict(settings))
