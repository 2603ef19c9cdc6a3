"""Frames, POTCARs of our own, and a stand-in for VASP that labels them in a second."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from aiida.common import LinkType
from aiida.common.folders import Folder
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.orm import CalcJobNode, Dict, FolderData
from aiida.plugins import ParserFactory, WorkflowFactory
from aiida_vasp.calcs.vasp import VaspCalculation
from aiida_vasp.data.potcar import PotcarData
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import write
from cp2k_cases import frame_of
from toy.vasp_stand_in import LENNARD_JONES

from aiida_edl.data.dataset import DatasetData
from aiida_edl.dft.protocols import engine_protocol
from aiida_edl.science.frames import Frame, FrameSet
from aiida_edl.workflows.single_point.vasp.workchain import CHILD_SETTINGS, VaspSinglePointWorkChain

STAND_IN = Path(__file__).parent / 'toy' / 'vasp_stand_in.py'
VALENCES = {'Au': 11.0, 'H': 1.0, 'Na': 1.0, 'O': 6.0}
FAMILY = 'edl-tests'
MAPPING = {'Au': 'Au', 'H': 'H', 'Na': 'Na', 'O': 'O'}
POTCAR = """\
  PAW_PBE {symbol} 01Jan2000
   {valence:.5f}
 parameters from PSCTR are:
   VRHFIN ={symbol}: made by the tests
   LEXCH  = PE
   EATOM  =     1.0000 eV,    0.1000 Ry

   TITEL  = PAW_PBE {symbol} 01Jan2000
   LULTRA =        F    use ultrasoft PP ?
   IUNSCR =        1    unscreen: 0-lin 1-nonlin 2-no
   RPACOR =     .000    partial core radius
   POMASS =    1.000; ZVAL   =   {valence:6.3f}    mass and valenz
   RCORE  =    1.100    outmost cutoff radius
   ENMAX  =  250.000; ENMIN  =  200.000 eV
   END of PSCTR-controll parameters
 local part
 End of Dataset
"""
"""A header that names the element and its electrons, and no potential: nothing here is licensed."""


def upload_potcars(folder: Path) -> None:
    """Upload the POTCARs of the tests, once for each profile."""
    if PotcarData.get_potcar_group(FAMILY) is not None:
        return
    for symbol, valence in VALENCES.items():
        path = folder / FAMILY / symbol / 'POTCAR'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(POTCAR.format(symbol=symbol, valence=valence))
    PotcarData.upload_potcar_family(folder / FAMILY, FAMILY, 'made by the tests', stop_if_existing=False)


def program(path: Path) -> str:
    """Write a program that is the stand-in, and return its path."""
    path.write_text(f'#!/bin/bash\nexec {sys.executable} -W ignore {STAND_IN}\n')
    path.chmod(0o755)
    return str(path)


def settings(protocol: str = 'paper_a', **changes: Any) -> dict[str, Any]:
    """Return settings with the POTCARs of the tests."""
    return engine_protocol('vasp', protocol, **{'potential_family': FAMILY, 'potential_mapping': MAPPING, **changes})


def staged(code: Any, folder: Path, parameters: dict[str, Any], *frames: Frame) -> list[Mapping[str, Any]]:
    """Write what VASP is given for each frame into a folder by its number, and return the inputs of the calculations.

    The work chain of ours and that of aiida-vasp go through all their steps up to the submission.
    """
    runner = get_manager().get_runner()
    given = {'code': code, 'dataset': dataset(*frames), 'model_parameters': Dict(parameters)}
    ours = instantiate_process(runner, VaspSinglePointWorkChain, single_point=given)
    ours.setup()
    assert ours.ctx.failures == {}
    ours.prepare_batch()
    all_inputs = []
    for index in range(len(frames)):
        theirs = instantiate_process(runner, WorkflowFactory('vasp.v2.vasp'), **ours.child_inputs(index))
        theirs.setup()
        theirs.init_inputs()
        theirs.prepare_inputs()
        inputs = theirs._wrap_bare_dict_inputs(VaspCalculation.spec().inputs, theirs.ctx.inputs)
        (folder / str(index)).mkdir(parents=True)
        calculation = instantiate_process(runner, VaspCalculation, **inputs)
        calculation.prepare_for_submission(Folder(folder / str(index)))
        all_inputs.append(inputs)
    return all_inputs


def computed(folder: Path, frame: Frame, **tags: Any) -> tuple[dict[str, Any], Any]:
    """Run the stand-in on a frame whose elements are grouped; return what the parser reads, and its exit code."""
    folder.mkdir()
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
    write(folder / 'POSCAR', atoms, format='vasp', direct=True)
    blocks = [POTCAR.format(symbol=symbol, valence=VALENCES[symbol]) for symbol in dict.fromkeys(atoms.symbols)]
    (folder / 'POTCAR').write_text(''.join(blocks))
    (folder / 'INCAR').write_text(''.join(f'{k} = {v}\n' for k, v in {'NELM': 60, 'ISPIN': 1, **tags}.items()))
    with (folder / 'vasp_output').open('w') as output:
        subprocess.run(
            [sys.executable, '-W', 'ignore', STAND_IN], cwd=folder, stdout=output, stderr=output, check=False
        )
    return parsed(folder)


def parsed(folder: Path) -> tuple[dict[str, Any], Any]:
    """Return what the parser reads in a folder of files that are not kept, and its exit code."""
    node = CalcJobNode(process_type=VaspCalculation.build_process_type())
    node.set_option('resources', {'num_machines': 1})
    for name, value in {'settings': Dict(dict(CHILD_SETTINGS)), 'parameters': Dict({})}.items():
        node.base.links.add_incoming(value.store(), LinkType.INPUT_CALC, name)
    node.store()
    retrieved = FolderData()
    retrieved.base.links.add_incoming(node, LinkType.CREATE, 'retrieved')
    retrieved.store()
    parser = ParserFactory('edl.single_point.vasp')(node)
    exit_code = parser.parse(retrieved_temporary_folder=str(folder))
    return parser.outputs['misc'].get_dict() if 'misc' in parser.outputs else {}, exit_code


def dataset(*frames: Frame) -> DatasetData:
    """Return a data set of frames."""
    return DatasetData.from_frames(FrameSet.from_frames(frames))


def film(shift: float = 0.0, sodium: int = 1, **columns: Any) -> Frame:
    """Return water and sodium above gold, elements in no order, the first atom moved along z by ``shift`` [Å]."""
    positions = [[3.0, 3.0, 8.4], [0.1, 0.0, 3.0], [3.7, 3.0, 9.0], [2.9, 0.1, 3.1], [2.3, 3.1, 9.1], [0.0, 2.8, 2.9]]
    symbols = ['O', 'Au', 'H', 'Au', 'H', 'Au']
    for number in range(sodium):
        symbols.insert(0, 'Na')
        positions.insert(0, [0.5 + 3.0 * number, 0.5, 6.5])
    atoms = Atoms(symbols, positions, cell=[6.0, 6.2, 22.0], pbc=[True, True, False])
    atoms.positions[0, 2] += shift
    return frame_of(atoms, **columns)


def crystal(lattice_constant: float = 4.2, **columns: Any) -> Frame:
    """Return a strained and rattled cube of gold."""
    atoms = Atoms('Au4', cell=lattice_constant * np.eye(3), pbc=True)
    atoms.set_scaled_positions([[0.01, 0, 0], [0.5, 0.5, 0.02], [0.5, 0, 0.5], [0, 0.48, 0.5]])
    return frame_of(atoms, **columns)


def atom(symbol: str = 'O', sides: tuple[float, float, float] = (14.0, 14.5, 15.0), **columns: Any) -> Frame:
    """Return a single atom in a box."""
    return frame_of(Atoms([symbol], [[7.0, 7.0, 7.0]], cell=sides, pbc=False), **columns)


def reference(frame: Frame) -> Atoms:
    """Return atoms with the model behind the stand-in, to which all cells are periodic."""
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
    atoms.calc = LennardJones(**LENNARD_JONES)
    return atoms
