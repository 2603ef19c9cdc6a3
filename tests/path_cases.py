"""Small graphs of fine-tuning studies whose runs hold a defect with a known path."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida.common import LinkType
from aiida.orm import CalcFunctionNode, Dict, WorkChainNode
from ase.build import bulk

from aiida_edl.calculations.functions.hopping import hopping
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.frames import FrameSet

N_FRAMES = 60
INTERVAL = 20.0
"""Time between frames [fs]."""
HOP = 2.0
"""Distance of two interstitial sites [Å]."""


def hopping_run(n_hops: int) -> DatasetData:
    """Return two runs of LiF at rest with an interstitial Li that hops along x in the first, once every ten frames."""
    atoms = bulk('LiF', 'rocksalt', a=2 * HOP, cubic=True) * (2, 2, 2)
    positions = np.repeat(np.append(atoms.positions, [[1.0, 1.0, 1.0]], axis=0)[np.newaxis], 2 * N_FRAMES, axis=0)
    for hop in range(n_hops):
        positions[10 * (hop + 1) : N_FRAMES, -1, 0] += HOP
    frames = FrameSet(
        numbers=np.tile(np.append(atoms.numbers, 3), 2 * N_FRAMES).astype(np.uint8),
        positions=positions.reshape(-1, 3),
        offsets=np.arange(2 * N_FRAMES + 1) * positions.shape[1],
        cells=np.repeat(atoms.cell.array[np.newaxis], 2 * N_FRAMES, axis=0),
        pbc=np.ones((2 * N_FRAMES, 3), dtype=bool),
        columns={'time': np.tile(INTERVAL * np.arange(N_FRAMES), 2)},
    )
    return DatasetData.from_frames(frames, in_single_precision=True).store()


def add_assessment(study: WorkChainNode, label: str, hops: dict[str, int]) -> WorkChainNode:
    """Return an assessment that a study called.

    :param study: the study.
    :param label: of its call link.
    :param hops: hops at each temperature by label.
    """
    process = WorkChainNode()
    process.set_process_label('DiffusionAssessmentWorkChain')
    process.base.links.add_incoming(study, LinkType.CALL_WORK, label)
    process.store()
    for temperature, n_hops in hops.items():
        found = hopping(hopping_run(n_hops), Dict({'window': 100.0}))
        assert isinstance(found.creator, CalcFunctionNode)
        found.base.links.add_incoming(process, LinkType.RETURN, f'analyses__hopping__{temperature}')
    return process


def add_comparison(study: WorkChainNode, models: list[dict[str, Any]]) -> None:
    """Let a study return a comparison that knows models alone."""
    empty: dict[str, list[Any]] = {name: [] for name in ('learning_curves', 'diffusion', 'sheet')}
    comparison = Dict({'models': models, **empty}).store()
    comparison.base.links.add_incoming(study, LinkType.RETURN, 'comparison')


def model(family: str, n_frames: int, seed: int = 1, round_number: int = 0) -> dict[str, Any]:
    """Return the row of a model in a comparison."""
    return {
        'model': f'{family}_{n_frames}_{round_number}_{seed}',
        'family': family,
        'system': 'interstitial',
        'n_frames': n_frames,
        'n_replay': 0,
        'round_number': round_number,
        'seed': seed,
        'total_core_hours': None,
        'test_force_rmse_ev_per_angstrom': None,
    }


def path_study() -> WorkChainNode:
    """Return a study of two models, one at two temperatures, one without results."""
    study = WorkChainNode(label='a study with paths').store()
    models = [model('naive', 50), model('zero_shot', 0), model('melted', 50)]
    for row, hops in zip(models, ({'T0700': 1, 'T1000_5': 3}, {'T0700': 0}, {})):
        add_assessment(study, f'assessment_interstitial_{row["model"]}', hops)
    add_comparison(study, models)
    return study
