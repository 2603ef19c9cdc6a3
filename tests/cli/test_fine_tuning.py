"""Commands of fine-tuning studies: what is submitted, printed and refused."""

from __future__ import annotations

import json
import sys

import pytest
import yaml
from aiida.common import LinkType
from aiida.orm import Dict, InstalledCode, WorkChainNode
from calculation_cases import dataset, potential, register_toy, split, stored_once
from click.testing import CliRunner
from diffusion_cases import DIFFUSION, MD, RECIPE, gas
from path_cases import add_assessment

from aiida_edl.cli.main import main
from aiida_edl.workflows import launch_fine_tuning

SETTINGS = {
    'families': {
        'zero_shot': {'strategy': 'zero_shot', 'start': 'foundation'},
        'own': {'strategy': 'own_frames', 'start': 'foundation', 'exploration': {'steps': 100}},
    },
    'runs': {'temperatures': [400.0], 'replicas': 1},
    'md': dict(MD),
    'analyses': {'diffusion': dict(DIFFUSION)},
}


@pytest.fixture
def call(aiida_profile):
    """Return a function that runs a command and checks its exit status."""

    def run(*arguments, exit_code=0):
        result = CliRunner().invoke(main, ['-p', aiida_profile.name, 'fine-tuning', *map(str, arguments)])
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


@pytest.fixture
def study_options(aiida_localhost, tmp_path, monkeypatch):
    """Return the options of a study of the toy."""
    register_toy(monkeypatch)
    code = stored_once(
        'code of studies', lambda: InstalledCode(aiida_localhost, sys.executable, label='fine-tuning-study-python')
    )
    frames = stored_once('frames of studies', lambda: dataset(gas(9, seed=1, spacing=3.2)))
    start = stored_once('start of studies', lambda: dataset(gas(2, seed=2, spacing=3.2).without_labels()))
    model = stored_once('foundation of studies', lambda: potential(('Na',), atomic_energies={'Na': 0.0}))
    parts = stored_once('split of studies', lambda: split(training=[0, 1, 2, 3, 8], validation=[4], test=[5, 6, 7]))
    overrides = tmp_path / 'overrides.yaml'
    overrides.write_text(yaml.safe_dump(json.loads(json.dumps(SETTINGS))))
    return {
        '--dataset': frames.pk,
        '--split': parts.pk,
        '--structure': f'gas={start.pk}',
        '--foundation': f'foundation={model.pk}',
        '--overrides': overrides,
        '--code': f'default={code.full_label}',
    }


def new_chain():
    return WorkChainNode().store()


def flat(options, **changes):
    return [word for pair in {**options, **changes}.items() for word in pair]


def test_settings_can_be_looked_at_before_anything_is_submitted(call, study_options):
    text = call('run', *flat(study_options), '--dry-run')
    values = yaml.safe_load(text)
    assert values['protocol'] == 'fast'
    assert sorted(values['families']) == ['own', 'zero_shot']
    plan = '1 loops that find their own frames, 5 rounds together at most, each gives a model'
    assert f'# 1 models: zero_shot; {plan}' in text


def test_rounds_of_all_seeds_are_counted(call, study_options):
    seeds = ('--set', 'families.own.seeds=[1, 2, 3]', '--set', 'families.own.rounds.maximum_rounds=4')
    text = call('run', *flat(study_options), *seeds, '--dry-run')
    assert '3 loops that find their own frames, 12 rounds together at most' in text


def test_families_train_and_run_on_the_gpus_that_are_asked_for(call, study_options, monkeypatch, tmp_path):
    built = {}
    monkeypatch.setattr(launch_fine_tuning, 'submit_study', lambda builder: built.update(it=builder) or new_chain())
    options = tmp_path / 'options.yaml'
    options.write_text(yaml.safe_dump({'default': {'max_wallclock_seconds': 60}}))
    own = {'families': {'zero_shot': SETTINGS['families']['zero_shot']}}
    study_options['--overrides'].write_text(yaml.safe_dump(json.loads(json.dumps({**SETTINGS, **own}))))
    call('run', *flat(study_options), '--options', options, '--gpus', 2)
    families, found = built['it'].settings['families'], built['it'].options.get_dict()
    assert {part['device'] for part in families.values()} == {'cuda'}
    visible = {'CUDA_VISIBLE_DEVICES': '0,1'}  # the computer of the tests has no batch system
    assert found == {'default': {'max_wallclock_seconds': 60, 'environment_variables': visible}}


def test_study_is_submitted_with_what_was_given(call, study_options, monkeypatch, tmp_path):
    built = {}

    def submit(builder):
        built['builder'] = builder
        return WorkChainNode().store()

    monkeypatch.setattr(launch_fine_tuning, 'submit_study', submit)
    labels = tmp_path / 'labels.yaml'
    labels.write_text(
        yaml.safe_dump({'recipe': RECIPE, 'level_of_theory': 'Lennard-Jones', 'energy_shifts': {'Na': 0.0}})
    )
    engine = {
        '--label-engine': 'ase_calculator',
        '--label-code': study_options['--code'].partition('=')[2],
        '--label-settings': labels,
    }
    resources = tmp_path / 'options.yaml'
    resources.write_text(yaml.safe_dump({'max_wallclock_seconds': 600}))
    energies = tmp_path / 'energies.yaml'
    energies.write_text(yaml.safe_dump({'Na': -1.5}))
    engine |= {
        '--label-options': resources,
        '--label-frames-per-job': '7',
        '--atomic-energies': energies,
        '--label-gate': 'force_cap=9.5',
    }
    text = call('run', *flat(study_options), *flat(engine), '--max-active', '2', '--label', 'gas')
    builder = built['builder']
    assert 'submitted' in text
    assert builder.metadata.label == 'gas'
    assert builder.max_active.value == 2
    assert builder.labelling['engine'].value == 'ase_calculator'
    assert builder.labelling['options'].get_dict() == {'max_wallclock_seconds': 600}
    assert builder.labelling['frames_per_job'].value == 7
    assert builder.labelling['gate'].get_dict() == {'force_cap': 9.5}
    assert builder.atomic_energies.get_dict() == {'Na': -1.5}
    assert sorted(builder.structures) == ['gas']
    assert builder.codes['default'].label == 'fine-tuning-study-python'


def test_engine_of_labels_without_its_code_is_refused(call, study_options):
    text = call('run', *flat(study_options), '--label-engine', 'ase_calculator', exit_code=2)
    assert '--label-engine and --label-code belong together' in text


def test_foundation_that_is_not_given_is_named(call, study_options):
    del study_options['--foundation']
    text = call('run', *flat(study_options), exit_code=1)
    assert "starts from the foundation model 'foundation', given are: none" in text


def test_process_without_a_comparison_says_where_to_look(call):
    process = WorkChainNode().store()
    text = call('show', process.pk, exit_code=1)
    assert f'aiida-edl query failures --study {process.pk}' in text


def test_table_can_be_read_by_programs(call):
    process = WorkChainNode().store()
    comparison = Dict({'models': [{'model': 'zero_shot'}], 'learning_curves': [], 'diffusion': [], 'sheet': []}).store()
    comparison.base.links.add_incoming(process, LinkType.RETURN, 'comparison')
    assert json.loads(call('show', process.pk, '--format', 'json')) == [{'model': 'zero_shot'}]


def test_paths_of_defects_are_printed(aiida_profile):
    process = WorkChainNode().store()
    add_assessment(process, 'assessment_interstitial_zero_shot', {'T0700': 1})
    arguments = ['-p', aiida_profile.name, 'query', 'defect-paths', '--study', str(process.pk), '--format', 'json']
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.output)
    assert [(row['replica'], row['time_fs'], row['mechanism']) for row in rows] == [
        (0, 0.0, ''),
        (0, 200.0, 'direct'),
        (1, 0.0, ''),
    ]
