"""An assessment that could train its potential, but not test or run it, is refused before it is submitted."""

from __future__ import annotations

import pytest
from aiida.orm import Dict, Int, List, Str
from calculation_cases import dataset, split, training_inputs

from aiida_edl.md_engines.base import MDSettings
from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.workflows.assessment_checks import conversion_environments, refuse_engine, validate_assessment


@pytest.fixture
def make_inputs(python_code):
    """Return a function that makes inputs of an assessment, some replaced."""

    def make(training=None, **changes):
        inputs = {
            'training': {**training_inputs(python_code), **(training or {})},
            'structures': {'0': dataset()},
            'frame_index': Int(-1),
            'engine': Str('ase'),
            'md_settings': Dict({'steps': 40}),
        }
        return {**inputs, **changes}

    return make


def test_complete_inputs_are_accepted(make_inputs):
    assert validate_assessment(make_inputs(), None) is None


def test_empty_test_set_is_refused(make_inputs):
    assert validate_assessment(make_inputs({'split': split(test=[])}), None) == (
        "the array 'test' of the split is empty; keep some frames apart to measure the errors"
    )


def test_engine_without_binding_is_refused(make_inputs):
    assert validate_assessment(make_inputs(engine=Str('lammps')), None) == (
        "MD engine 'lammps' cannot load least_squares; kinds of binding it has: ase"
    )


def test_engine_with_a_model_of_its_own_is_refused(make_inputs):
    assert validate_assessment(make_inputs(engine=Str('electrode')), None) == (
        "MD engine 'electrode' cannot load least_squares; kinds of binding it has: ase"
    )


def test_format_that_the_engine_does_not_load_is_refused(make_inputs):
    assert validate_assessment(make_inputs(model_format=Str('mliap')), None) == (
        "unknown format in which ase loads least_squares 'mliap': Known: native."
    )


def test_frame_that_is_not_there_is_refused(make_inputs):
    assert validate_assessment(make_inputs(frame_index=Int(10)), None) == (
        "frame_index is 10, structure '0' has 10 frames"
    )


def test_element_that_the_potential_will_not_know_is_refused(make_inputs):
    assert validate_assessment(make_inputs({'elements': List(['H', 'O', 'Au'])}), None) == (
        "structure '0' holds Na, the potential will know H, O, Au; add them to elements"
    )


def test_runs_are_not_checked_if_there_are_none(make_inputs):
    inputs = make_inputs(engine=Str('lammps'))
    inputs.pop('md_settings')
    assert validate_assessment(inputs, None) is None


def test_code_of_another_kind_is_refused(make_inputs, aiida_code_installed):
    lmp = aiida_code_installed(label='lmp-of-runs', filepath_executable='/usr/bin/lmp')
    assert validate_assessment(make_inputs(md_code=lmp), None).startswith(
        f"code '{lmp.full_label}' runs 'lmp', but architecture 'least_squares' needs the Python interpreter"
    )


def test_missing_charge_of_a_structure_is_refused(make_inputs, python_code):
    training = {'architecture': Str('mace'), 'hyperparameters': Dict({'charge_column': 'total_charge'})}
    message = validate_assessment(make_inputs(training), None)
    assert message.startswith("the potential will take the column 'total_charge' as total charge, structure '0' has")


def test_missing_code_of_a_conversion_is_refused(make_inputs):
    inputs = make_inputs({'architecture': Str('deep_potential')}, engine=Str('lammps'))
    assert validate_assessment(inputs, None) == (
        "engine 'lammps' loads deep_potential after a conversion in the environment 'deepmd_lammps', but "
        'conversion_codes holds none; get its Python interpreter by: aiida-edl environment create deepmd_lammps'
    )


@pytest.mark.parametrize(
    ('architecture', 'wished', 'environments'),
    [('deep_potential', '', ('deepmd_lammps',)), ('deep_potential', 'native', ()), ('mace', '', ()), ('grace', '', ())],
)
def test_environment_of_the_training_needs_no_code_of_its_own(architecture, wished, environments):
    member, engine = load_member(ARCHITECTURES, architecture), load_member(MD_ENGINES, 'lammps')
    assert conversion_environments(member, engine, wished) == environments


def test_settings_that_the_engine_refuses_are_refused():
    member, engine = load_member(ARCHITECTURES, 'grace'), load_member(MD_ENGINES, 'lammps')
    assert refuse_engine(member, engine, MDSettings(wall_height=20.0, fixed_elements=())) == engine.refuse(
        MDSettings(wall_height=20.0, fixed_elements=())
    )
    assert refuse_engine(member, engine, MDSettings(wall_height=0.0, fixed_elements=())) is None
