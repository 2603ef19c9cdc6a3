"""A chain of conversions, each step in an environment of its own."""

from __future__ import annotations

import re

import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.orm import Str
from calculation_cases import potential
from toy.least_squares import LeastSquares

from aiida_edl.architectures.conversion import Conversion
from aiida_edl.workflows.conversion import ConversionWorkChain

COPY = 'import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])'
STEPS = {
    'a': Conversion((('-c', COPY, '{model}', 'a.py'),), file_name='a.py', environment='first'),
    'b': Conversion(
        (('-c', COPY, '{model}', 'b.py'),),
        file_name='b.py',
        environment='second',
        source='a',
    ),
    'c': Conversion((('-c', 'raise SystemExit(1)'),), file_name='c.py', environment='second', source='a'),
}


@pytest.fixture(autouse=True)
def toy_conversions(monkeypatch, toy_architecture):
    """Let potentials of the toy architecture be converted."""
    monkeypatch.setattr(LeastSquares, 'conversions', STEPS)


def run(target, **codes):
    """Run a chain on the toy potential."""
    return run_get_node(ConversionWorkChain, potential=potential(), target_format=Str(target), codes=codes)


def test_each_step_is_a_calculation_of_its_own(python_code):
    results, node = run('b', first=python_code, second=python_code)
    assert node.is_finished_ok, node.exit_message
    assert (results['potential'].format, results['potential'].model_files) == ('b', ('b.py',))
    labels = node.base.links.get_outgoing(link_type=LinkType.CALL_CALC).all_link_labels()
    assert sorted(labels) == ['step_01', 'step_02']


def test_potential_that_has_the_format_is_given_back():
    results, node = run('native')
    assert node.is_finished_ok
    assert results['potential'].uuid == potential().uuid
    assert node.called == []


def test_failed_step_ends_the_chain(python_code):
    results, node = run('c', first=python_code, second=python_code)
    assert node.exit_status == 510
    assert node.exit_message.startswith('the conversion into c failed with exit status 314: The model could not be')
    assert 'potential' not in results


def test_missing_code_is_named(python_code):
    message = (
        "the conversion into 'b' runs in the environment 'second', codes are given for first; give codes.second, a "
        'Python interpreter that you get by: aiida-edl '
        'environment create second'
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        run('b', first=python_code)


def test_unknown_format_is_refused(python_code):
    with pytest.raises(ValueError, match=re.escape("unknown target format 'd'")):
        run('d', first=python_code)
