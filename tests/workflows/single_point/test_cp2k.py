"""Labels by CP2K: staging, parsing of recorded outputs, and the program itself where it is installed."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import ArrayData, Bool, Dict, Float, Int, Str
from calculation_cases import refusal, stage
from cp2k_cases import CP2K, CRYSTAL, INSULATOR, METAL, MISSING, RECORDED, charged_film, lithium_fluoride, water

from aiida_edl.calculations.single_point_cp2k import Cp2kCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.dft.cp2k_settings import Cp2kSettings
from aiida_edl.science.formats.cp2k_output import read_cp2k_output
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.units import BOHR, HARTREE
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.single_point.cp2k.workchain import Cp2kSinglePointWorkChain

ENTRY_POINT = 'edl.single_point.cp2k'
needs_cp2k = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def dataset(*frames) -> DatasetData:
    return DatasetData.from_frames(FrameSet.from_frames(frames))


@pytest.fixture
def recorded_code(aiida_code_installed, tmp_path):
    """Return a function that gives a code which copies recorded outputs and potentials, frame by frame."""

    def code_of(*names: str):
        for number, name in enumerate(names):
            if name:
                content = gzip.decompress((RECORDED / f'{name}.out.gz').read_bytes())
                (tmp_path / f'frame_{number:05d}.inp.out').write_bytes(content)
            potential = RECORDED / f'{name}.cube.gz'
            if name and potential.is_file():
                (tmp_path / f'frame_{number:05d}.inp.cube').write_bytes(gzip.decompress(potential.read_bytes()))
        program = tmp_path / 'cp2k'
        program.write_text(
            f'#!/bin/bash\ncat {tmp_path}/$2.out\n'
            f'if [ -e {tmp_path}/$2.cube ]; then cp {tmp_path}/$2.cube ${{2%.inp}}-v_hartree-1_0.cube; fi\n'
        )
        program.chmod(0o755)
        return aiida_code_installed(label=f'cp2k-recorded-{tmp_path.name}', filepath_executable=str(program))

    return code_of


def inputs(code, *frames, settings=None, **more):
    return {'code': code, 'dataset': dataset(*frames), 'model_parameters': Dict(settings or INSULATOR), **more}


def test_each_frame_has_a_run_of_its_own(recorded_code, tmp_path):
    folder = tmp_path / 'job'
    folder.mkdir()
    calc_info = stage(ENTRY_POINT, folder, inputs(recorded_code(), water(), lithium_fluoride()))
    assert [run.cmdline_params for run in calc_info.codes_info] == [
        ['-i', 'frame_00000.inp'],
        ['-i', 'frame_00001.inp'],
    ]
    assert [run.stdout_name for run in calc_info.codes_info] == ['frame_00000.out', 'frame_00001.out']
    assert calc_info.retrieve_temporary_list == [('frame_*.out', '.', 1), ('frame_*.cube', '.', 1)]
    assert calc_info.provenance_exclude_list == ['frame_00001.inp']


def test_frames_with_a_label_are_not_run_again(recorded_code, tmp_path):
    folder = tmp_path / 'job'
    folder.mkdir()
    frames = dataset(water(), water())
    labels = ArrayData({'converged': np.array([True, False]), 'offsets': frames.frames().offsets})
    given = {'code': recorded_code(), 'dataset': frames, 'model_parameters': Dict(INSULATOR), 'checkpoint': labels}
    calc_info = stage(ENTRY_POINT, folder, given)
    assert [run.stdout_name for run in calc_info.codes_info] == ['frame_00001.out']


def test_checkpoint_of_other_frames_is_refused(recorded_code):
    labels = ArrayData({'converged': np.array([True]), 'offsets': np.array([0, 7])})
    message = refusal(ENTRY_POINT, inputs(recorded_code(), water(), checkpoint=labels))
    assert message == 'the checkpoint holds labels of other frames; leave it out to label all of them'


def test_column_of_charges_that_is_not_there_is_refused(recorded_code):
    given = inputs(recorded_code(), water(), settings={**INSULATOR, 'total_charge_column': 'charge'})
    assert refusal(ENTRY_POINT, given) == "total_charge_column is 'charge', but the frames have the columns: none"


def test_labels_in_house_units_and_each_failure_with_its_reason(recorded_code):
    uranium = replace(water(), numbers=np.array([92, 1, 1], dtype=np.uint8))
    code = recorded_code('water', 'unconverged', 'aborted', '')
    outputs, node = run_get_node(Cp2kCalculation, **inputs(code, water(), water(), water(), uranium))
    assert node.exit_status == 0
    labels, summary = outputs['labels'], outputs['label_summary'].get_dict()
    assert labels.get_array('converged').tolist() == [True, False, False, False]
    assert labels.get_array('energies')[0] == pytest.approx(-466.2791719874, abs=1e-9)
    assert np.isnan(labels.get_array('energies')[1:]).all()
    assert labels.get_array('n_scf_steps')[0] == 11
    assert summary['failures'] == {
        '1': 'the SCF did not converge in 3 steps',
        '2': 'CP2K aborted: The requested basis set <SZV-MOLOPT-XX-GTH> for element <O> was not found in the basis set '
        'files <BASIS_MOLOPT>',
        '3': 'there is no pseudopotential of U; those known are of H to Rn',
    }
    assert summary['level_of_theory'] == Cp2kSettings.from_dict(INSULATOR).level_of_theory
    assert summary['versions'] == {'cp2k': '2023.1'}
    assert summary['largest_net_force'] == pytest.approx(0.056862741770 * HARTREE / BOHR, rel=1e-6)
    assert node.outputs.retrieved.base.repository.list_object_names() == [
        '_scheduler-stderr.txt',
        '_scheduler-stdout.txt',
    ]


def test_film_has_its_forces_in_its_own_axes(recorded_code):
    outputs, node = run_get_node(
        Cp2kCalculation, **inputs(recorded_code('charged_film'), charged_film(), settings=METAL)
    )
    assert node.exit_status == 0
    recorded = read_cp2k_output(gzip.decompress((RECORDED / 'charged_film.out.gz').read_bytes()).decode())
    np.testing.assert_array_equal(outputs['labels'].get_array('forces'), recorded.forces[:, [2, 0, 1]])


def test_isolated_film_has_no_stress_and_the_summary_says_so(recorded_code):
    outputs, _ = run_get_node(Cp2kCalculation, **inputs(recorded_code('charged_film'), charged_film(), settings=METAL))
    assert 'stresses' not in outputs['labels'].get_arraynames()
    assert outputs['label_summary']['notes'] == ['there are no stresses, as CP2K gives none of an isolated film']


def test_film_has_a_potential_on_both_sides(recorded_code):
    """The side of the metal lies higher for an electron than that of the water; the grid leaves 0.03 V/Å."""
    outputs, _ = run_get_node(Cp2kCalculation, **inputs(recorded_code('charged_film'), charged_film(), settings=METAL))
    labels = outputs['labels']
    assert labels.get_array('vacuum_levels')[0] == pytest.approx([1.592, -0.814], abs=0.02)
    assert labels.get_array('vacuum_fields')[0] == pytest.approx([-0.032, 0.032], abs=0.002)
    heights, profile = (labels.get_array(name)[0] for name in ('potential_heights', 'potential_profiles'))
    gold = charged_film().positions[charged_film().numbers == 79, 2]
    assert heights[profile.argmin()] == pytest.approx(gold.min(), abs=0.3)


def test_film_without_its_potential_is_no_label(recorded_code, tmp_path):
    code = recorded_code('charged_film')
    (tmp_path / 'frame_00000.inp.cube').unlink()
    outputs, _ = run_get_node(Cp2kCalculation, **inputs(code, charged_film(), settings=METAL))
    assert outputs['label_summary']['failures'] == {
        '0': 'CP2K left no potential of the film, the file frame_00000-v_hartree-1_0.cube is missing'
    }


def test_output_of_other_atoms_is_no_label(recorded_code):
    outputs, node = run_get_node(Cp2kCalculation, **inputs(recorded_code('lithium_fluoride'), water()))
    assert node.exit_status == 452
    assert outputs['label_summary']['failures'] == {
        '0': 'the output is of 8 atoms in another order than the 3 of the frame'
    }


def test_electrons_that_do_not_fit_the_charge_are_no_label(recorded_code):
    given = inputs(recorded_code('water'), water(charge=1.0), settings={**INSULATOR, 'total_charge_column': 'charge'})
    outputs, _ = run_get_node(Cp2kCalculation, **given)
    assert outputs['label_summary']['failures'] == {
        '0': 'CP2K counted 8 valence electrons, the frame has 7; check the total charge'
    }


def test_code_that_is_no_cp2k_is_an_exit_code(aiida_code_installed, tmp_path):
    program = tmp_path / 'cp2k'
    program.write_text('#!/bin/bash\nexit 0\n')
    program.chmod(0o755)
    code = aiida_code_installed(label=f'cp2k-empty-{tmp_path.name}', filepath_executable=str(program))
    _, node = run_get_node(Cp2kCalculation, **inputs(code, water()))
    assert node.exit_status == 310
    assert node.exit_message.endswith('none of the 1 frames has an output; is the code CP2K?')


def test_interrupted_job_goes_on_with_the_frames_that_are_left(aiida_code_installed, tmp_path):
    """The first job is killed in its second frame, as at a walltime; the next one begins there."""
    content = gzip.decompress((RECORDED / 'water.out.gz').read_bytes())
    (tmp_path / 'whole').write_bytes(content)
    (tmp_path / 'half').write_bytes(content[: len(content) // 2])
    program = tmp_path / 'cp2k'
    program.write_text(
        '#!/bin/bash\n'
        f'echo $2 >> {tmp_path}/runs\n'
        f'if [ $(wc -l < {tmp_path}/runs) -eq 2 ]; then cat {tmp_path}/half; kill -9 $PPID; exit 1; fi\n'
        f'cat {tmp_path}/whole\n'
    )
    program.chmod(0o755)
    code = aiida_code_installed(label=f'cp2k-killed-{tmp_path.name}', filepath_executable=str(program))
    outputs, node = run_get_node(Cp2kSinglePointWorkChain, single_point=inputs(code, water(), water(), water()))
    assert node.exit_status == 0
    first, _ = node.called
    assert first.exit_status == 312
    assert first.outputs.labels.get_array('converged').tolist() == [True, False, False]
    assert outputs['labels'].get_array('converged').all()
    assert (tmp_path / 'runs').read_text().split() == [
        'frame_00000.inp',
        'frame_00001.inp',
        'frame_00001.inp',
        'frame_00002.inp',
    ]


def test_labels_of_earlier_jobs_survive_a_job_that_finishes_no_frame(recorded_code, tmp_path):
    """The last frame is killed in its first step, after the others had got their labels in an earlier job."""
    code = recorded_code('water', 'water')
    cut = gzip.decompress((RECORDED / 'water.out.gz').read_bytes())[:3000]
    (tmp_path / 'frame_00001.inp.out').write_bytes(cut)
    frames = (water(), water())
    first, _ = run_get_node(Cp2kCalculation, **inputs(code, *frames))
    second, node = run_get_node(Cp2kCalculation, **inputs(code, *frames, checkpoint=first['labels']))
    assert node.exit_status == 312
    assert second['labels'].get_array('converged').tolist() == [True, False]
    assert second['label_summary']['n_labelled'] == 1


def test_frame_that_was_run_in_vain_is_not_run_again_after_an_interruption(recorded_code, tmp_path):
    folder = tmp_path / 'job'
    folder.mkdir()
    frames = dataset(water(), water(), water())
    labels = ArrayData({'converged': np.array([True, False, False]), 'offsets': frames.frames().offsets})
    labels.base.attributes.set('failures', {'1': 'CP2K aborted: no'})
    given = {'code': recorded_code(), 'dataset': frames, 'model_parameters': Dict(INSULATOR), 'checkpoint': labels}
    calc_info = stage(ENTRY_POINT, folder, given)
    assert [run.stdout_name for run in calc_info.codes_info] == ['frame_00002.out']


def test_frames_that_do_not_converge_are_run_again_with_other_settings(aiida_code_installed, tmp_path):
    for name in ('water', 'unconverged'):
        (tmp_path / name).write_bytes(gzip.decompress((RECORDED / f'{name}.out.gz').read_bytes()))
    program = tmp_path / 'cp2k'
    program.write_text(
        f'#!/bin/bash\nif [ $2 = frame_00001.inp ] && grep -q "MAX_SCF 40" $2; then cat {tmp_path}/unconverged; '
        f'else cat {tmp_path}/water; fi\n'
    )
    program.chmod(0o755)
    code = aiida_code_installed(label=f'cp2k-ladder-{tmp_path.name}', filepath_executable=str(program))
    settings = {**METAL, 'cutoff': 120.0, 'maximum_scf_steps': 40}
    given = inputs(code, water(), water(), settings=settings)
    outputs, node = run_get_node(Cp2kSinglePointWorkChain, single_point=given)
    assert node.is_finished_ok
    first, second = node.called
    assert outputs['labels'].get_array('converged').tolist() == [True, True]
    assert outputs['label_summary']['remedies'] == [
        '1 frames without convergence: mixing_fraction 0.1 -> 0.05, maximum_scf_steps 40 -> 80'
    ]
    assert outputs['label_summary']['level_of_theory'] == first.outputs.label_summary['level_of_theory']
    assert second.inputs.checkpoint.uuid == first.outputs.labels.uuid


@pytest.fixture
def code(aiida_code_installed):
    return aiida_code_installed(label='cp2k', filepath_executable=CP2K)


def label(code, *frames, settings=None):
    outputs, node = run_get_node(Cp2kSinglePointWorkChain, single_point=inputs(code, *frames, settings=settings))
    assert node.is_finished_ok, node.exit_message
    return {name: outputs['labels'].get_array(name) for name in outputs['labels'].get_arraynames()}


LABELLED = {
    'water': (water(0.1), {**INSULATOR, 'cutoff': 250.0}),
    'lithium_fluoride': (lithium_fluoride(3.9), {**CRYSTAL, 'cutoff': 250.0}),
}
"""Frames that CP2K labels in a few seconds on a grid that is fine enough, and how."""


@needs_cp2k
@pytest.mark.parametrize('name', LABELLED)
def test_labels_pass_the_gate_and_agree_with_each_other(code, name):
    """Sign and unit of forces and stress, and which energy it is, by the energies of deformed frames."""
    frame, settings = LABELLED[name]
    outputs, node = run_get_node(
        LabellingWorkChain, dataset=dataset(frame), engine=Str('cp2k'), code=code, model_parameters=Dict(settings)
    )
    assert node.is_finished_ok, node.exit_message
    verdict = outputs['gradient_check']
    checked = 'stress' if name == 'lithium_fluoride' else 'forces'  # a perfect crystal has no forces
    assert verdict[checked]['verdict'] == 'passed'
    assert verdict[checked]['energy_change'] == pytest.approx(verdict[checked]['work'], rel=0.05)
    assert 'D3 with zero damping' in outputs['dataset'].level_of_theory


@needs_cp2k
@pytest.mark.slow
def test_charged_film_puts_its_charge_on_the_metal(code):
    labels = label(code, charged_film(), settings=METAL)
    frame = charged_film()
    assert labels['charges'][frame.numbers == 79].sum() < -0.5
    assert labels['charges'][frame.numbers == 11].sum() > 0.5
    assert labels['n_electrons'].tolist() == [12 * 11 + 8 * 6 + 16 + 9]


@needs_cp2k
@pytest.mark.slow
def test_isolated_film_does_not_depend_on_its_vacuum(code):
    """A cell of 24 Å instead of 28.6 moves the atoms against the coarse grid, which is worth 50 meV."""
    frame = charged_film()
    shorter = replace(frame, cell=np.diag([*np.diag(frame.cell)[:2], 24.0]))
    labels = label(code, frame, shorter, settings=METAL)
    assert labels['energies'][1] == pytest.approx(labels['energies'][0], abs=0.05)
    assert labels['vacuum_levels'][1] == pytest.approx(labels['vacuum_levels'][0], abs=0.1)


@needs_cp2k
@pytest.mark.slow
def test_labels_of_the_work_chain_are_a_data_set(code):
    outputs, node = run_get_node(
        LabellingWorkChain,
        dataset=dataset(water(), water(0.05), replace(water(), numbers=np.array([92, 1, 1], dtype=np.uint8))),
        engine=Str('cp2k'),
        code=code,
        model_parameters=Dict(INSULATOR),
        frames_per_job=Int(2),
        max_failed_fraction=Float(0.5),
        gate=Dict({'net_force_cap': 10.0}),
        check_gradients=Bool(False),
    )
    assert node.exit_status == 700
    assert outputs['dataset'].n_frames == 2
    (rejected,) = outputs['rejected']['frames']
    assert rejected['frame'] == 2
    assert rejected['reason'] == 'there is no pseudopotential of U; those known are of H to Rn'
