"""Frames without a prediction are a warning that says how many; the errors are those of the others."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from calculation_cases import ATOMIC_ENERGIES, ELEMENTS, evaluation_inputs, potential, split
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
