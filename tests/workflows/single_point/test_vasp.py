"""Labels by VASP: its inputs to the byte, and its work chain driven with a stand-in for the program."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys

import numpy as np
import pytest
from aiida.common import LinkType
from aiida.engine import WorkChain, run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import ArrayData, Dict, Float, QueryBuilder, Str, WorkChainNode, load_node
from aiida_vasp.data.potcar import PotcarData, PotcarFileData
from calculation_cases import TESTS
from vasp_label_cases import (
    VALENCES,
    atom,
    computed,
    crystal,
    film,
    parsed,
    program,
    reference,
    settings,
    staged,
    upload_potcars,
)

from aiida_edl.calculations.functions.collect_vasp_labels import collect_vasp_labels
from aiida_edl.calculations.functions.collect_vasp_labels import refusal as why_no_label
from aiida_edl.calculations.functions.prepare_vasp_inputs import frame_key
from aiida_edl.data.dataset import DatasetData
from aiida_edl.dft.vasp_settings import VaspSettings
from aiida_edl.provenance import archive
from aiida_edl.provenance.audit import ArchiveError
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.single_point.vasp import potentials
from aiida_edl.workflows.single_point.vasp.workchain import (
    VaspSinglePointWorkChain,
    validate_options,
    validate_single_point,
)

RECORDED = TESTS / 'fixtures' / 'formats' / 'vasp'
_labelled: dict[str, str] = {}


@pytest.fixture
def vasp(aiida_code_installed, tmp_path):
    """Return the stand-in as a code, with POTCARs configured."""
    upload_potcars(tmp_path)
    return aiida_code_installed(label=f'vasp-{tmp_path.name}', filepath_executable=program(tmp_path / 'vasp_std'))


def dataset(*frames) -> DatasetData:
    return DatasetData.from_frames(FrameSet.from_frames(frames))


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
    assert labelled.is_finished_ok, labelled.exit_message
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


@pytest.mark.parametrize('protocol', ['fast', 'balanced', 'paper_a'])
def test_inputs_to_the_byte(vasp, tmp_path, file_regression, protocol):
    """A charged film, a crystal without a charge, and an atom."""
    frames = [film(charge=-1.0), crystal(charge=0.0), atom(charge=0.0)]
    folder = tmp_path / 'jobs'
    staged(vasp, folder, settings(protocol, total_charge_column='charge'), *frames)
    texts = [
        f'--- {shape}: {name} ---\n{(folder / str(index) / name).read_text()}'
        for index, shape in enumerate(('film', 'bulk', 'atom'))
        for name in ('INCAR', 'KPOINTS', 'POSCAR')
    ]
    file_regression.check(''.join(texts))


def refusal(**changes) -> str | None:
    return validate_single_point({'dataset': dataset(film()), 'model_parameters': Dict(settings(**changes))}, None)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'potential_family': 'edl-test'},
            "unknown potential_family 'edl-test': did you mean 'edl-tests'? Known: edl-tests.",
        ),
        (
            {'potential_mapping': {'Au': 'Au', 'H': 'H', 'O': 'O'}},
            "potential_mapping names no POTCAR for Na, which occurs in the frames; add it, for example {'Na': 'Na'}",
        ),
        (
            {'potential_mapping': {'Au': 'Au', 'H': 'H', 'O': 'O', 'Na': 'Na_pv'}},
            "unknown POTCAR of the family edl-tests 'Na_pv': did you mean 'Na'? Known: Au, H, Na, O.",
        ),
        (
            {'potential_mapping': {'Au': 'Au', 'H': 'H', 'O': 'O', 'Na': 'H'}},
            "potential_mapping gives the POTCAR 'H' to Na, but it is of H; name one of Na",
        ),
        (
            {'total_charge_column': 'charge'},
            "total_charge_column is 'charge', but the frames have the columns: none",
        ),
        ({}, None),
    ],
)
def test_what_is_not_configured_is_found_before_anything_is_submitted(vasp, changes, message):
    assert refusal(**changes) == message


def test_labelling_finds_it_before_anything_is_submitted(vasp):
    parameters = Dict(settings(potential_family='PBE.54'))
    inputs = {'dataset': dataset(film()), 'engine': Str('vasp'), 'code': vasp, 'model_parameters': parameters}
    message = "engine 'vasp' refuses its inputs: unknown potential_family 'PBE.54': Known: edl-tests."
    with pytest.raises(ValueError, match=re.escape(message)):
        run_get_node(LabellingWorkChain, **inputs)


def test_no_potcars_at_all(vasp, monkeypatch):
    monkeypatch.setattr(potentials, 'family_names', list)
    assert refusal() == (
        "potential_family is 'edl-tests', but no POTCARs are configured; upload some: aiida-vasp potcar uploadfamily "
        '--path=<folder> --name=<family> --description=<text>'
    )


def test_potcar_without_content(vasp, monkeypatch):
    """As it is after the import of an archive, which never holds the content."""
    monkeypatch.setattr(PotcarFileData, '_HAS_MODEL_VERSIONING', True)
    monkeypatch.setattr(PotcarFileData, '_VERSION', 0)
    assert refusal().startswith("the POTCAR 'Au' was imported without its content, which never leaves a machine;")


def test_aiida_vasp_that_is_not_installed(vasp, monkeypatch):
    monkeypatch.setattr(potentials, 'registered_names', lambda group: ('edl.single_point.vasp',))
    assert refusal() == 'the engine vasp needs aiida-vasp, which is not installed; run: pip install aiida-edl[vasp]'


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


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'queue_nam': 'debug'}, 'the options of the jobs are not valid: '),
        ({'max_wallclock_seconds': 'one hour'}, 'the options of the jobs are not valid: '),
    ],
)
def test_options_that_no_scheduler_knows(options, message):
    assert validate_options(options, None).startswith(message)


def test_usual_options():
    assert validate_options({'resources': {'num_machines': 2}, 'max_wallclock_seconds': 3600}, None) is None


def collected(folder, *frames):
    """Return labels of frames whose elements are grouped, by stand-in, parser and calcfunction."""
    parts = {}
    for index, frame in enumerate(frames):
        misc, exit_code = computed(folder / str(index), frame, IVDW=11)
        assert exit_code is None
        parts[f'misc_{frame_key(index)}'] = Dict(misc)
    orders = ArrayData({frame_key(index): np.arange(len(frame.numbers)) for index, frame in enumerate(frames)})
    outputs = collect_vasp_labels(
        dataset=dataset(*frames),
        model_parameters=Dict(settings()),
        potentials=Dict({'Au': {'valence': 11.0, 'title': 'PAW_PBE Au 01Jan2000', 'sha512': ''}}),
        record=Dict({'failures': {}, 'remedies': {}}),
        site_order_001=orders,
        **parts,
    )
    return {name: outputs['labels'].get_array(name) for name in outputs['labels'].get_arraynames()}


def test_forces_are_minus_the_gradient_of_the_energy(vasp, tmp_path):
    """The energy without entropy, and the one extrapolated to no smearing, have gradients that are 10 and 5 % off."""
    step, frames = 0.01, []
    for move in (-step, 0.0, step):
        frames.append(crystal(2.0))
        frames[-1].positions[0, 0] += move
    labels = collected(tmp_path, *frames)
    low, _, high = labels['energies']
    assert labels['forces'][4, 0] == pytest.approx(-(high - low) / (2 * step), rel=0.01)


def test_stress_is_the_change_of_energy_with_volume(vasp, tmp_path):
    a, step = 2.0, 0.005
    labels = collected(tmp_path, *(crystal(value) for value in (a - step, a, a + step)))
    low, _, high = labels['energies']
    pressure = np.trace(labels['stresses'][1]) / 3
    assert pressure == pytest.approx((high - low) / ((a + step) ** 3 - (a - step) ** 3), rel=0.01)


def test_run_of_vasp_itself(vasp, tmp_path):
    """Two atoms of silicon by VASP 6.4.2, see the README of the fixture."""
    for name in ('OUTCAR', 'vasprun.xml'):
        (tmp_path / name).write_bytes(gzip.decompress((RECORDED / 'static' / f'{name}.gz').read_bytes()))
    misc, exit_code = parsed(tmp_path)
    assert exit_code is None
    assert why_no_label(misc, 2, 8.0) is None
    assert why_no_label(misc, 2, 9.0).startswith('VASP counted 8 electrons, the frame has 9')
    assert misc['total_energies']['energy_free'] == misc['free_energy'] == -11.45864342
    assert (misc['run_status']['last_iteration_index'], misc['run_status']['nelm']) == ([1, 14], 200)
    assert misc['version'] == '6.4.2'


def test_output_that_is_cut_is_not_taken_for_a_result(vasp, tmp_path):
    computed(tmp_path / 'job', crystal())
    outcar = tmp_path / 'job' / 'OUTCAR'
    outcar.write_text(outcar.read_text().partition('General timing')[0])
    _, exit_code = parsed(tmp_path / 'job')
    assert exit_code.status == 700


def test_scf_that_ends_at_its_limit_is_not_converged(vasp, tmp_path):
    _, exit_code = computed(tmp_path / 'job', crystal(), NELM=12)
    assert exit_code.status == 701


MISC = {
    'total_energies': {'energy_free': -1.0},
    'forces': [[0.0, 0.0, 0.0]],
    'stress': np.zeros((3, 3)).tolist(),
    'run_status': {'last_iteration_index': [1, 12], 'nelm': 60},
    'n_electrons': 11.0,
}


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({}, None),
        ({'n_electrons': 11.0004}, None),
        (
            {'n_electrons': 12.0},
            'VASP counted 12 electrons, the frame has 11; check the total charge and the potentials',
        ),
        ({'n_electrons': None}, 'the output does not say how many electrons VASP counted'),
        ({'forces': [[0.0] * 3] * 2}, 'the output is of 2 atoms, the frame has 1'),
        ({'total_energies': {'energy_extrapolated': -1.0}}, 'the output lacks energy'),
        ({'stress': [], 'forces': []}, 'the output lacks forces, stress'),
        ({'run_status': {'last_iteration_index': [1, 60], 'nelm': 60}}, 'the SCF did not converge in 60 steps'),
        (
            {'free_energy': -1.25},
            'vasprun.xml gives a free energy of -1.000000 eV, OUTCAR -1.250000 eV; one of them lacks a part',
        ),
        ({'forces': [[float('nan'), 0.0, 0.0]]}, 'the output holds values that are not finite'),
    ],
)
def test_results_that_are_no_label(changes, reason):
    assert why_no_label({**MISC, **changes}, 1, 11.0) == reason


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
