"""Label frames of a charged gold/water interface with an engine that needs no licence.

A small cell is built, with a sodium ion for each electron on the metal; the classical reference runs it for some
picoseconds at 330 K, and frames of this run are labelled. Only the labels cost time::

    source examples/demo/activate
    python examples/03_label_charged_interface.py --engine ase_calculator --protocol gfn1_xtb --code engines-python
    python examples/03_label_charged_interface.py --engine cp2k --protocol fast --code cp2k

The data set, what was rejected and why, and the check of forces against energies are in the graph.
"""

from __future__ import annotations

import argparse

from aiida import load_profile
from aiida.engine import run_get_node
from aiida.orm import Dict, Int, Str, load_code

from aiida_edl.calculations.functions.build_interface import build_interface
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.data.dataset import DatasetData
from aiida_edl.workflows import launch_labelling
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain

CELL = {'metal': 'Au', 'repeat': [2, 2, 3], 'n_water': 8, 'vacuum': 14.0, 'seed': 1}
DYNAMICS = {
    'ensemble': 'nvt',
    'thermostat': 'csvr',
    'temperature': 330.0,
    'time_step': 0.5,
    'relaxation_time': 200.0,
    'fixed_elements': ['Au'],
    'wall_height': 14.0,
    'seed': 1,
}
STEPS_PER_FRAME = 1000
"""0.5 ps from one frame to the next, after as many steps before the first."""


def make_frames(n_ions: int, n_frames: int, lammps_code: str) -> DatasetData:
    """Return frames of a run with the classical reference."""
    structure = build_interface(Dict({**CELL, 'n_ions': n_ions}))
    steps = {'equilibration_steps': 4000, 'steps': STEPS_PER_FRAME * n_frames, 'sampling_interval': STEPS_PER_FRAME}
    outputs, node = run_get_node(
        MolecularDynamicsWorkChain,
        md={
            'structure': structure,
            'frame_index': Int(0),
            'engine': Str('electrode'),
            'settings': Dict({**DYNAMICS, **steps}),
            'model_parameters': Dict({}),
            'code': load_code(lammps_code),
            'metadata': {'options': {'resources': {'num_machines': 1}}},
        },
    )
    if not node.is_finished_ok:
        raise SystemExit(f'dynamics: exit status {node.exit_status}: {node.exit_message}')
    wanted = {'method': 'evenly_spaced', 'n_frames': n_frames, 'seed': 1}
    return select_frames(outputs['trajectory'], Dict(wanted))


def main() -> None:
    """Build, run, choose, label; print one sentence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--engine', default='ase_calculator', help='short name of the engine (default ase_calculator)')
    parser.add_argument('--protocol', default='gfn1_xtb', help='named settings of the engine (default gfn1_xtb)')
    parser.add_argument('--code', default='engines-python', help='label of its code (default engines-python)')
    parser.add_argument('--lammps-code', default='lmp', help='label of the code of LAMMPS (default lmp)')
    parser.add_argument('--n-frames', type=int, default=20)
    parser.add_argument('--n-ions', type=int, default=1, help='sodium ions, and electrons on the metal')
    parser.add_argument('--frames-per-job', type=int, default=10)
    arguments = parser.parse_args()

    load_profile()
    frames = make_frames(arguments.n_ions, arguments.n_frames, arguments.lammps_code)
    builder = launch_labelling.labelling_builder(
        frames,
        engine=arguments.engine,
        code=load_code(arguments.code),
        protocol=arguments.protocol,
        gate={'net_force_cap': 3.0},  # the grid of the protocol fast of CP2K leaves as much on the ion
        numbers={'frames_per_job': arguments.frames_per_job},
        max_failed_fraction=0.5,
        label=f'{arguments.n_frames} frames with {arguments.n_ions} Na+',
    )
    process = launch_labelling.run_here(builder)
    print(launch_labelling.outcome(process))
    for frame in process.outputs.rejected['frames']:
        print(f'frame {frame["frame"]}: {frame["reason"]}')
    if 'gradient_check' in process.outputs:
        print(f'check of forces and stress: {process.outputs.gradient_check["verdict"]}')


if __name__ == '__main__':
    main()
