"""Make what VASP is given for single frames."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import ArrayData, Data, Dict, KpointsData, List, StructureData
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.data.dataset import DatasetData
from aiida_edl.dft.vasp_input import incar, k_point_mesh, site_order
from aiida_edl.dft.vasp_settings import VaspSettings
from aiida_edl.science.frames import Frame

SITE_ORDER = 'site_order'
"""Name of the output with the order of the sites of each frame."""


def frame_key(index: int) -> str:
    """Return how what belongs to a frame is called.

    >>> frame_key(12)
    'frame_00012'
    """
    return f'frame_{index:05d}'


def mesh_key(mesh: tuple[int, int, int]) -> str:
    """Return how a mesh of k-points is called; frames with the same mesh share one.

    >>> mesh_key((3, 4, 1))
    'kpoints_3_4_1'
    """
    return 'kpoints_' + '_'.join(str(n) for n in mesh)


@calcfunction
def prepare_vasp_inputs(
    dataset: DatasetData, model_parameters: Dict, potentials: Dict, indices: List
) -> dict[str, Data]:
    """Return structures with the sites grouped by element, tags of the INCAR, and meshes of k-points.

    :param dataset: the frames.
    :param model_parameters: fields of ``VaspSettings``.
    :param potentials: what is known of the potential of each element; ``valence`` is its number of electrons, ZVAL.
    :param indices: frames for which inputs are made.
    :return: ``structure_frame_00003`` and ``parameters_frame_00003`` for each frame, ``kpoints_3_4_1`` for each mesh,
        and ``site_order`` with an array ``frame_00003`` for each frame: the index in the frame of each site.
    """
    settings = VaspSettings.from_dict(model_parameters.get_dict())
    frames = dataset.frames()
    outputs: dict[str, Data] = {}
    orders = {}
    for index in indices.get_list():
        frame, key = frames.frame(index), frame_key(index)
        orders[key] = site_order(frame)
        outputs[f'structure_{key}'] = _structure(frame, orders[key])
        n_electrons = sum(potentials[chemical_symbols[number]]['valence'] for number in frame.numbers)
        outputs[f'parameters_{key}'] = Dict({'incar': incar(frame, settings, n_electrons)})
        mesh = k_point_mesh(frame, settings)
        if mesh_key(mesh) not in outputs:
            outputs[mesh_key(mesh)] = _k_points(mesh)
    return {**outputs, SITE_ORDER: ArrayData(orders)}


def _structure(frame: Frame, order: NDArray[Any]) -> StructureData:
    """Return the sites of a frame in an order."""
    structure = StructureData(cell=frame.cell.tolist(), pbc=frame.pbc.tolist())
    for index in order.tolist():
        structure.append_atom(position=frame.positions[index].tolist(), symbols=chemical_symbols[frame.numbers[index]])
    return structure


def _k_points(mesh: tuple[int, int, int]) -> KpointsData:
    """Return a mesh that is centred on Gamma."""
    k_points = KpointsData()
    k_points.set_kpoints_mesh(list(mesh))
    return k_points
