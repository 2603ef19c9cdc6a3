"""Labels by VASP: its work chain, driven with a stand-in for the program."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from aiida.common import LinkType
from aiida.engine import WorkChain, run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import Bool, Dict, Float, QueryBuilder, Str, WorkChainNode, load_node
from aiida_vasp.data.potcar import PotcarData, PotcarFileData
from vasp_label_cases import (
    VALENCES,
    crystal,
    dataset,
    film,
    reference,
    settings,
    staged,
)

from aiida_edl.calculations.functions.prepare_vasp_inputs import frame_key
from aiida_edl.dft.vasp_settings import VaspSettings
from aiida_edl.provenance import archive
from aiida_edl.provenance.audit import ArchiveError
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.single_point.vasp.workchain import (
    VaspSinglePointWorkChain,
)

_labelled: dict[str, str] = {}


def crashing_film(**columns):
    frame = film(**columns)
    gold = np.flatnonzero(frame.numbers == 79)
    frame.positions[gold[1]] = frame.positions[gold[0]] + [0.0, 0.0, 0.1]
    return frame


def thin_film(**columns):
    frame = film(**columns)
    frame.cell[2, 2] = 15.0
    return frame


FRAMES = [film(charge=0.0), film(0.2, charge=-1.0), thin_film(charge=0.0)]


@pytest.fixture
def labelled(vasp):
    """Return the labelling of frames, run once for all tests: one is charged, and one has lost its vacuum."""
    if 'node' not in _labelled:
        _, node = run_get_node(
            LabellingWorkChain,
            dataset=dataset(*FRAMES),
            engine=Str('vasp'),
            code=vasp,
            model_parameters=Dict(settings('fast', total_charge_column='charge', reports_vacuum_level=True)),
            max_failed_fraction=Float(0.5),
            check_gradients=Bool(False),
        )
        _labelled['node'] = node.uuid
    return load_node(_labelled['node'])


def engine_of(node):
    (chain,) = (child for child in node.called if child.process_label == 'VaspSinglePointWorkChain')
    return chain


def array(node, name):
    return engine_of(node).outputs.labels.get_array(name)


def calculations(node):
    children = [child for child in engine_of(node).called if child.process_label == 'VaspWorkChain']
    return [sorted(child.called, key=lambda job: job.pk) for child in sorted(children, key=lambda child: child.pk)]


def test_labels_are_those_of_the_program_in_the_order_of_the_frames(labelled):
    assert labelled.exit_status == 700, labelled.exit_message
    frames = labelled.outputs.dataset.frames()
    assert len(frames) == 2
    for index, frame in enumerate(FRAMES[:2]):
        atoms, label = reference(frame), frames.frame(index)
        assert label.numbers.tolist() == frame.numbers.tolist()
        assert label.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
        assert label.forces == pytest.approx(atoms.get_forces(), abs=1e-6)
        assert label.stress == pytest.approx(atoms.get_stress(voigt=False), abs=1e-9)


def test_lost_vacuum_is_the_reason_of_its_frame(labelled):
    reason = 'the film has 8.8 Å of vacuum, it needs 10 Å; lengthen the cell along z'
    assert engine_of(labelled).outputs.label_summary['failures'] == {'2': reason}
    (rejected,) = labelled.outputs.rejected['frames']
    assert rejected['frame'] == 2
    assert rejected['reason'].endswith(reason)


def test_electrons_are_counted(labelled):
    total = sum(VALENCES[symbol] for symbol in ('Na', 'O', 'Au', 'H', 'Au', 'H', 'Au'))
    assert array(labelled, 'n_electrons')[:2].tolist() == [total, total + 1.0]
    assert array(labelled, 'expected_electrons').tolist() == [total, total + 1.0, total]


def test_steps_can_be_compared_with_their_limit(labelled):
    assert array(labelled, 'n_scf_steps')[:2].tolist() == [12.0, 12.0]
    assert array(labelled, 'maximum_scf_steps')[:2].tolist() == [60.0, 60.0]


def test_levels_of_energy(labelled):
    assert array(labelled, 'fermi_level')[:2].tolist() == [-2.5, -2.5]
    assert array(labelled, 'vacuum_levels')[:2].tolist() == [[1.5, 2.25], [1.5, 2.25]]
    assert array(labelled, 'work_function')[:2].tolist() == [4.75, 4.75]
    energies = [reference(frame).get_potential_energy() for frame in FRAMES[:2]]
    assert array(labelled, 'dispersion_energies')[:2] == pytest.approx([0.2 * energy for energy in energies], abs=1e-5)


def test_what_the_labels_are_is_stored_with_them(labelled):
    summary = engine_of(labelled).outputs.label_summary.get_dict()
    titles = [f'PAW_PBE {symbol} 01Jan2000' for symbol in ('Au', 'H', 'Na', 'O')]
    engine = VaspSettings.from_dict(engine_of(labelled).inputs.single_point.model_parameters.get_dict())
    assert summary['level_of_theory'] == engine.level_of_theory(titles)
    assert summary['level_of_theory'] == labelled.outputs.dataset.level_of_theory
    assert summary['charge_convention'] == 'total charge of the column charge, against a uniform background'
    assert summary['potentials']['Na']['valence'] == 1.0
    assert summary['potentials']['Na']['sha512'] == PotcarData.find_one(full_name='Na').sha512
    assert summary['versions'] == {'vasp': '6.4.2'}
    assert (summary['n_frames'], summary['n_labelled'], summary['wall_seconds']) == (3, 2, 4.0)


def test_inputs_of_the_jobs_are_those_that_are_tested_to_the_byte(labelled, vasp, tmp_path):
    parameters = engine_of(labelled).inputs.single_point.model_parameters.get_dict()
    staged(vasp, tmp_path / 'jobs', parameters, FRAMES[1])
    job = calculations(labelled)[1][0]
    for name in ('INCAR', 'KPOINTS', 'POSCAR'):
        assert job.base.repository.get_object_content(name) == (tmp_path / 'jobs' / '0' / name).read_text()


def test_neither_potcars_nor_large_files_are_kept(labelled):
    for job in (job for jobs in calculations(labelled) for job in jobs):
        assert 'POTCAR' not in job.base.repository.list_object_names()
        names = job.outputs.retrieved.base.repository.list_object_names()
        assert sorted(names) == ['_scheduler-stderr.txt', '_scheduler-stdout.txt']
    linked = (
        QueryBuilder()
        .append(PotcarFileData, tag='file')
        .append(type(calculations(labelled)[0][0]), with_incoming='file')
    )
    assert linked.count() == 0


def test_study_with_labels_of_vasp_may_be_published(labelled):
    """The POTCARs that calculations are linked to are titles and hashes; the files, which a licence holds, are not."""
    nodes = archive.select_nodes([labelled])
    archive.refuse_licensed(nodes)
    titles = QueryBuilder().append(PotcarData, filters={'id': {'in': nodes}}, project='attributes.title').all(flat=True)
    assert len(titles) == 4
    with pytest.raises(ArchiveError, match=r"^1 nodes of type 'data.vasp.potcar_file.' hold licensed files"):
        archive.refuse_licensed([*nodes, PotcarData.find_one(full_name='Na').find_file_node().pk])


@pytest.mark.slow
def test_labels_agree_with_each_other(vasp):
    """Deformed crystals go all the way through VASP: energies change by the work of forces and stress."""
    outputs, node = run_get_node(
        LabellingWorkChain,
        dataset=dataset(crystal(2.0)),
        engine=Str('vasp'),
        code=vasp,
        model_parameters=Dict(settings('fast')),
    )
    assert node.is_finished_ok, node.exit_message
    check = outputs['gradient_check'].get_dict()
    assert [check[name]['verdict'] for name in ('forces', 'stress')] == ['passed', 'passed']


@pytest.mark.slow
def test_handlers_and_failures_of_aiida_vasp(vasp):
    """Twelve steps are needed and ten allowed, so that a handler has to allow more; and one frame crashes VASP."""
    parameters = Dict(settings('fast', algorithm='Normal', maximum_scf_steps=10, maximum_active_jobs=1))
    given = {'code': vasp, 'dataset': dataset(film(), crashing_film()), 'model_parameters': parameters}
    outputs, node = run_get_node(VaspSinglePointWorkChain, single_point=given)
    assert node.is_finished_ok, node.exit_message
    summary = outputs['label_summary'].get_dict()
    assert summary['remedies'] == {'0': 'NELM 10 -> 150'}
    assert outputs['labels'].get_array('maximum_scf_steps')[0] == 150
    assert summary['failures'] == {
        '1': 'VASP was run 2 times, at last it failed with 700 (Calculation did not reach the end of execution.), its '
        "output ends with 'forrtl: severe (174): SIGSEGV, segmentation fault occurred'; the work chain of aiida-vasp "
        'ended with exit status 501'
    }
    energy = reference(film()).get_potential_energy()
    assert outputs['labels'].get_array('energies')[0] == pytest.approx(energy, abs=1e-7)
    assert outputs['labels'].get_array('converged').tolist() == [True, False]


def test_not_one_label_is_a_warning(vasp):
    parameters = Dict(settings('fast'))
    given = {'code': vasp, 'dataset': dataset(thin_film()), 'model_parameters': parameters}
    outputs, node = run_get_node(VaspSinglePointWorkChain, single_point=given)
    assert node.exit_status == 700
    assert node.exit_message == (
        'none of 1 frames has a label; the first: the film has 8.8 Å of vacuum, it needs 10 Å; lengthen the cell '
        'along z'
    )
    assert outputs['label_summary']['n_labelled'] == 0


def test_interrupted_step_submits_nothing_twice(vasp, monkeypatch):
    """The worker was killed after it had submitted two frames; the step runs again, and finds both."""
    given = {'code': vasp, 'dataset': dataset(film(), film(0.1)), 'model_parameters': Dict(settings('fast'))}
    chain = instantiate_process(get_manager().get_runner(), VaspSinglePointWorkChain, single_point=given)
    chain.setup()
    chain.prepare_batch()
    children = []
    for index in range(2):
        child = WorkChainNode()
        child.base.links.add_incoming(chain.node, LinkType.CALL_WORK, frame_key(index))
        child.store()
        child.set_process_state('running')
        child.set_checkpoint('bundle')
        children.append(child.uuid)
    monkeypatch.setattr(WorkChain, 'submit', lambda *_: pytest.fail('a frame was submitted again'))
    assert [child.uuid for child in chain.run_batch().values()] == children


def test_other_engines_do_not_need_aiida_vasp():
    """In an interpreter that cannot import it, the engines are listed and the ports of all of them are there."""
    program = (
        'import sys\n'
        'class Blocker:\n'
        '    def find_spec(self, name, path=None, target=None):\n'
        "        if name.partition('.')[0] in ('aiida_vasp', 'parsevasp'):\n"
        '            raise ImportError(name)\n'
        'sys.meta_path.insert(0, Blocker())\n'
        'from aiida.plugins import WorkflowFactory\n'
        'from aiida_edl.workflows.labelling import single_point_engines\n'
        'for name in single_point_engines().values(): WorkflowFactory(name).spec()\n'
        "print('loaded')\n"
    )
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=False)
    assert (result.stdout, result.returncode) == ('loaded\n', 0), result.stderr
