"""The example that trains on density-functional data, on the two sets it was written for."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path

import pytest
from aiida.orm import QueryBuilder
from click.testing import CliRunner
from electrode_cases import ENVIRONMENT

from aiida_edl.cli.main import main
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get('AIIDA_EDL_DFT_DATA', ROOT.parent / 'shared' / 'data'))
"""Folder with the two sets; too large for this repository."""
GOLD = (
    'au111_water_vasp/train.extxyz',
    *('--energy-key', 'free_energy', '--stress-key', 'stress', '--sides', '2'),
    *('--level-of-theory', 'VASP, RPBE as stated by the origin, unverified'),
    *('--origin', 'github.com/shubhamunt/gold-water-confinement-ml'),
)
PLATINUM = (
    'pt111_water_cp2k/interface',
    *('--type-map', 'O,H,Pt', '--sides', '2', '--level-of-theory', 'CP2K, PBE-D3, DZVP-MOLOPT-SR, GTH'),
    *('--origin', 'github.com/ChiahsinChu/2024-JCP-Pt111_dielectric_profile'),
)
UPDATES = 80
LINE = re.compile(r'^(\w+): force RMSE ([\d.]+) ± ([\d.]+) eV/Å, energy RMSE ([\d.]+) meV/atom$', re.MULTILINE)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f'no DFT data in {DATA}; name their folder in AIIDA_EDL_DFT_DATA'),
]


@pytest.mark.parametrize(('source', 'options'), [(GOLD[0], GOLD[1:]), (PLATINUM[0], PLATINUM[1:])], ids=['Au', 'Pt'])
def test_both_architectures_train_on_dft_labels(
    aiida_profile_clean, aiida_code_installed, monkeypatch, capsys, source, options
):
    imported = CliRunner().invoke(main, ['dataset', 'import', str(DATA / source), '--label', 'dft', *options])
    assert imported.exit_code == 0, imported.output
    aiida_code_installed(label='engines', filepath_executable=str(ENVIRONMENT / 'python'))
    program = str(ROOT / 'examples/02_train_on_dft_data.py')
    sizes = ['--gradient-updates', str(UPDATES), '--n-training', '24']
    monkeypatch.setattr(sys, 'argv', [program, 'dft', '--python-code', 'engines@localhost', *sizes])
    runpy.run_path(program, run_name='__main__')
    found = LINE.findall(capsys.readouterr().out)
    assert [line[0] for line in found] == ['mace', 'deep_potential']
    assert max(float(force) for _, force, _, _ in found) < spread_of_forces()
    query = QueryBuilder().append(PotentialData, project='attributes.level_of_theory')
    (level,) = set(query.all(flat=True))
    assert level == options[options.index('--level-of-theory') + 1]


def spread_of_forces() -> float:
    """Return the root mean square of the forces [eV/Å], the error of a model that says zero."""
    frames = QueryBuilder().append(DatasetData, filters={'label': 'dft'}).first(flat=True).frames()
    return float((frames.forces**2).mean() ** 0.5)
