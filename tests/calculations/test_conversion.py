"""Conversion of a potential by one step: what is refused, staged, run and read back."""

from __future__ import annotations

import json
import re

import pytest
from aiida.engine import run_get_node
from calculation_cases import finished_node, parse, potential, refusal, stage
from toy.least_squares import LeastSquares

from aiida_edl.architectures.base import Architecture
from aiida_edl.architectures.conversion import Conversion, ConversionError, conversion_chain
from aiida_edl.architectures.precision import Precision
from aiida_edl.calculations.conversion import ConversionCalculation
from aiida_edl.registry import ARCHITECTURES, load_member, registered_names

ENTRY_POINT = 'edl.conversion'
COPY = 'import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2]); print(sys.argv[3])'
STEPS = {
    'copied': Conversion(
        arguments=(('-c', COPY, '{model}', 'copied.py', '{precision}'),),
        file_name='copied.py',
        environment='first',
        packages=('numpy',),
    ),
    'copied twice': Conversion(
        arguments=(('-c', COPY, '{model}', 'twice.py', 'done'),),
        file_name='twice.py',
        environment='second',
        source='copied',
    ),
    'broken': Conversion(
        arguments=(('-c', 'raise SystemExit("no such operator")'),), file_name='x', environment='first'
    ),
    'empty': Conversion(arguments=(('-c', 'print("did nothing")'),), file_name='x', environment='first'),
}


@pytest.fixture(autouse=True)
def toy_conversions(monkeypatch, toy_architecture):
    """Let potentials of the toy architecture be converted."""
    monkeypatch.setattr(LeastSquares, 'conversions', STEPS)


def inputs(code, target='copied', **changes):
    """Return inputs of a conversion of the toy potential."""
    from aiida.orm import Str

    return {'code': code, 'potential': potential(), 'target_format': Str(target), **changes}


@pytest.mark.parametrize(
    ('target', 'message'),
    [
        (
            'copid',
            "architecture least_squares: unknown target format 'copid': did you mean 'copied'? Known: broken, copied, "
            'copied twice, empty.',
        ),
        (
            'copied twice',
            "one calculation makes one step, from 'native' to 'copied twice' the steps are: copied, copied twice; take "
            'a ConversionWorkChain',
        ),
        (
            'native',
            "one calculation makes one step, from 'native' to 'native' the steps are: nothing, it is there already; "
            'take a ConversionWorkChain',
        ),
    ],
)
def test_target_that_is_not_one_step_away_is_refused(python_code, target, message):
    assert refusal(ENTRY_POINT, inputs(python_code, target)) == message


def test_executable_that_is_no_interpreter_is_refused(lammps_code):
    assert re.match(
        r"code 'lammps@\S+' runs 'lmp', but the conversion into 'copied' in the environment 'first' needs the Python "
        r'interpreter of an environment; install it with: aiida-edl environment create first$',
        refusal(ENTRY_POINT, inputs(lammps_code)),
    )


def test_format_from_which_nothing_leads_on_is_refused(python_code):
    made_elsewhere = potential(model_format='foreign')
    assert refusal(ENTRY_POINT, inputs(python_code, potential=made_elsewhere)) == (
        "architecture least_squares: no conversion leads from the format 'foreign' to 'copied': it starts from "
        "'native'; convert a potential of that format"
    )


def test_model_and_commands_are_staged(python_code, tmp_path):
    calc_info = stage(ENTRY_POINT, tmp_path, inputs(python_code))
    document = json.loads((tmp_path / 'commands.json').read_text())
    assert document['packages'] == ['numpy']
    (command,) = document['commands']
    assert command['arguments'] == ['-c', COPY, 'least_squares_calculator.py', 'copied.py', 'float64']
    assert [entry[2] for entry in calc_info.local_copy_list] == ['least_squares_calculator.py']
    assert ('copied.py', '.', 1) in calc_info.retrieve_temporary_list


def test_converted_potential_says_of_itself_what_the_original_says(python_code):
    results, node = run_get_node(ConversionCalculation, **inputs(python_code))
    assert node.is_finished_ok, node.exit_message
    original, new = potential(), results['potential']
    assert (new.format, new.model_files) == ('copied', ('copied.py',))
    assert new.base.repository.get_object_content('copied.py') == original.base.repository.get_object_content(
        'least_squares_calculator.py'
    )
    attributes = dict(original.base.attributes.all)
    assert {**attributes, 'format': 'copied'} == dict(new.base.attributes.all)
    summary = results['conversion_summary'].get_dict()
    assert (summary['source_format'], summary['target_format']) == ('native', 'copied')
    assert summary['versions']['numpy']
    assert summary['wall_seconds'] > 0


@pytest.mark.parametrize(
    ('target', 'message'),
    [
        ('broken', "The model could not be converted: the last line of convert.out is 'no such operator'"),
        (
            'empty',
            'The model could not be converted: x is missing or empty, and the last line of convert.out is '
            "'did nothing'",
        ),
    ],
)
def test_failed_conversion_has_its_exit_code(python_code, target, message):
    results, node = run_get_node(ConversionCalculation, **inputs(python_code, target))
    assert (node.exit_status, node.exit_message) == (314, message)
    assert 'potential' not in results
    assert 'conversion_summary' in results


@pytest.mark.parametrize(('files', 'status'), [({}, 310), ({'convert.out': b'bad_alloc'}, 312)])
def test_job_that_was_killed_is_read(python_code, files, status):
    outputs, exit_code = parse(ENTRY_POINT, finished_node(ENTRY_POINT, inputs(python_code), files))
    assert exit_code.status == status
    assert set(outputs) == {'conversion_summary'}


def test_job_without_memory_is_told_apart(python_code):
    report = {'commands': [{'stdout': 'convert.out', 'is_export': False, 'outcome': 'out_of_memory', 'returncode': -9}]}
    report['commands'][0] |= {'wall_seconds': 1.0, 'cpu_seconds': 1.0, 'peak_memory_megabyte': 1.0}
    report |= {'versions': {}, 'threads': 1, 'python': '3', 'platform': 'x'}
    files = {'run_commands.json': json.dumps(report).encode(), 'convert.out': b'Killed'}
    _, exit_code = parse(ENTRY_POINT, finished_node(ENTRY_POINT, inputs(python_code), files))
    assert exit_code.status == 410


def test_circle_of_conversions_is_no_way():
    circle = {name: Conversion((), name, 'x', source=source) for name, source in (('a', 'b'), ('b', 'a'))}
    with pytest.raises(ConversionError, match=r"^no conversion leads from the format 'native' to 'a'"):
        conversion_chain(circle, 'native', 'a')


@pytest.mark.parametrize('name', registered_names(ARCHITECTURES))
def test_every_format_an_engine_loads_can_be_had(name):
    architecture: Architecture = load_member(ARCHITECTURES, name)
    for binding in architecture.bindings.values():
        for model_format in binding.formats:
            assert model_format == 'native' or conversion_chain(architecture.conversions, 'native', model_format)


@pytest.mark.parametrize('name', ['deep_potential', 'deep_potential_mp'])
def test_conversion_that_gives_wrong_energies_is_not_offered(name):
    assert 'pb' not in load_member(ARCHITECTURES, name).conversions


def test_commands_of_mace_name_the_precision():
    (words,) = load_member(ARCHITECTURES, 'mace').conversions['mliap'].arguments_for('mace.model', Precision.SINGLE)
    assert words == ('-m', 'mace.cli.create_lammps_model', 'mace.model', '--format=mliap', '--dtype=float32')
