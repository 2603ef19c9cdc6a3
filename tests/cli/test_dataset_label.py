"""``aiida-edl dataset label``: frames in, a data set and the frames that were rejected out."""

from __future__ import annotations

import sys

import pytest
from aiida.orm import QueryBuilder, load_node
from calculation_cases import dataset, labelled_frames, potential, without_labels
from click.testing import CliRunner

from aiida_edl.cli.main import main
from aiida_edl.dft.protocols import ProtocolError
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.launch_labelling import engine_parameters

RECIPE = '{module: ase.calculators.lj, attribute: LennardJones, keyword_arguments: {sigma: 2.3, rc: 4.0}}'
SETTINGS = ('--set', f'recipe={RECIPE}', '--set', 'level_of_theory=Lennard-Jones')


@pytest.fixture
def frames(aiida_code_installed):
    """Return the identifier of stored frames; the interpreter of the tests is a code."""
    aiida_code_installed(label='label-python', filepath_executable=sys.executable)
    return str(dataset(without_labels(labelled_frames(3))).store().pk)


def label(frames, *arguments):
    """Run the command."""
    command = ['dataset', 'label', frames, '--engine', 'ase_calculator', '--code', 'label-python', *arguments]
    return CliRunner().invoke(main, command)


def test_frames_are_labelled_and_the_sentence_names_the_data_set(frames):
    result = label(frames, *SETTINGS, '--no-gradient-check', '--wait', '--label', 'by hand')
    assert result.exit_code == 0, result.output
    (chain,) = QueryBuilder().append(LabellingWorkChain, filters={'label': 'by hand'}).all(flat=True)
    made = chain.outputs.dataset
    last = result.output.splitlines()[-1]
    assert last == f'LabellingWorkChain<{chain.pk}>: 3 labelled frames, DatasetData<{made.pk}> {made.uuid}'
    assert load_node(int(frames)).n_frames == made.n_frames


def test_labelling_that_fails_is_an_error_with_the_reason(frames):
    result = label(
        frames, *SETTINGS, '--no-gradient-check', '--wait', '--gate', 'force_cap=1e-6', '--max-failed-fraction', '0'
    )
    assert result.exit_code == 1
    assert 'gave no data set, exit status 520: 3 of 3 frames were rejected' in result.output


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--gate', 'forcecap=1'), "unknown gate setting 'forcecap': did you mean 'force_cap'"),
        (('--potential', 'TEACHER'), 'a potential is given, and settings of an engine as well; give one of them'),
        (('--protocol', 'gfn1xtb'), "unknown protocol of ase_calculator 'gfn1xtb': did you mean 'gfn1_xtb'"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_submitted(frames, arguments, message):
    teacher = str(potential().store().pk)
    given = [teacher if argument == 'TEACHER' else argument for argument in arguments]
    result = label(frames, *given, *(() if arguments[0] == '--protocol' else SETTINGS))
    assert result.exit_code != 0
    assert message in result.output


def test_protocol_of_an_engine_gives_its_parameters():
    assert engine_parameters('cp2k', 'fast', {'cutoff': 500.0})['cutoff'] == 500.0
    assert engine_parameters('ase_calculator', 'gfn1_xtb', {})['recipe']['attribute'] == 'TBLite'


def test_unknown_engine_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown single-point engine 'cp2': did you mean 'cp2k'"):
        engine_parameters('cp2', None, {})


def test_engine_without_protocols_has_only_the_settings_that_are_given():
    assert engine_parameters('electrode', None, {'kspace_accuracy': 1e-5}) == {'kspace_accuracy': 1e-5}
    with pytest.raises(ProtocolError, match="engine 'electrode' has no protocols"):
        engine_parameters('electrode', 'fast', {})
