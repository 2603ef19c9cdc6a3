"""A potential of DeePMD-kit is converted, compared and run in LAMMPS, all of it in the graph."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, Str
from lammps_cases import SAVED_MODEL, SETTINGS, environment, film, missing, trained
from toy.training import ATOMIC_ENERGIES, ELEMENTS

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.frames import FrameSet
from aiida_edl.workflows.conversion import ConversionWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.parity import ParityWorkChain

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing('engines', 'deepmd_lammps') is not None, reason=str(missing('engines', 'deepmd_lammps'))
    ),
]


def as_potential(path: Path) -> PotentialData:
    """Return the potential of a file that the trainer left."""
    return PotentialData.from_model(
        {'frozen.pth': path.read_bytes()},
        architecture='deep_potential',
        elements=ELEMENTS,
        cutoff_radius=4.0,
        n_layers=1,
        level_of_theory='Lennard-Jones',
        atomic_energies=ATOMIC_ENERGIES,
        embeds_atomic_energies=False,
        precision='float64',
    )


def test_converted_potential_runs_in_lammps(tmp_path, aiida_code_installed):
    given = os.environ.get('AIIDA_EDL_LAMMPS_MODEL')
    model = Path(given).parent / 'frozen.pth' if given else trained('deep_potential', tmp_path)
    codes = {
        name: aiida_code_installed(label=name, filepath_executable=str(environment(name) / 'python'))
        for name in ('deepmd', 'deepmd_lammps')
    }
    lammps = aiida_code_installed(label='lmp', filepath_executable=str(environment('deepmd_lammps') / 'lmp'))
    native = as_potential(model).store()

    results, node = run_get_node(ConversionWorkChain, potential=native, target_format=Str(SAVED_MODEL), codes=codes)
    assert node.is_finished_ok, node.exit_message
    summaries = [child.outputs.conversion_summary.get_dict()['versions'] for child in node.called]
    assert all(versions['deepmd-kit'] for versions in summaries)

    inputs = {
        'code': lammps,
        'structure': DatasetData.from_frames(FrameSet.from_frames([film()]).without_labels(), origin='made by hand'),
        'engine': Str('lammps'),
        'settings': Dict(SETTINGS.to_dict()),
        'potential': results['potential'],
    }
    compared, gate = run_get_node(
        ParityWorkChain,
        dataset=inputs['structure'],
        potential=native,
        code=codes['deepmd'],
        routes={'lammps': {key: inputs[key] for key in ('engine', 'code', 'potential')}},
    )
    assert gate.is_finished_ok, gate.exit_message
    outputs, run = run_get_node(MolecularDynamicsWorkChain, md=inputs, parity=compared['verdict'])
    assert run.is_finished_ok, run.exit_message
    assert outputs['trajectory'].frames().columns['step'].tolist() == [10, 20, 30, 40]
    assert outputs['trajectory'].level_of_theory == 'deep_potential potential trained on Lennard-Jones'
    summary = outputs['md_summary'].get_dict()
    assert summary['versions'] == {'lammps': '22 Jul 2025 - Update 2', 'deepmd-kit': '3.2.0'}

    with pytest.raises(ValueError, match=r"runs 'python', but engine 'lammps' needs the LAMMPS executable"):
        run_get_node(MolecularDynamicsWorkChain, md={**inputs, 'code': codes['deepmd']}, parity=compared['verdict'])
