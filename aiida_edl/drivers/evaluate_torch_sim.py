"""Compute energies and forces of frames with a model of torch-sim: ``python evaluate_torch_sim.py evaluate.json``.

Runs on the compute node in the environment of the model, with ``run_torch_sim_md.py`` and ``torch_sim_batch.py`` beside
it, whose way of making a model and a cell it uses: what is compared is what runs. The input holds

- ``recipe``: ``module``, ``attribute``, ``keyword_arguments`` and ``environment`` of the model;
- ``frames``: an ``.npz`` file with ``numbers``, ``positions`` [Å], ``offsets``, ``cells`` [Å] and ``pbc``;
- ``predictions``: the ``.npz`` file to write;
- ``energy_shifts``: energy to add for each atom of an element [eV].

It writes ``energies`` [eV] of shape ``(n,)`` and ``forces`` [eV/Å] of shape ``(n_atoms_total, 3)``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch_sim
from ase.data import atomic_masses, chemical_symbols
from run_torch_sim_md import make_model
from torch_sim_batch import periodic_cell


def main(arguments: list[str]) -> int:
    """Read the input file, compute, write; return the exit status of the program."""
    settings = json.loads(Path(arguments[0]).read_text())
    with np.load(settings['frames']) as archive:
        frames = {name: archive[name] for name in archive.files}
    model, shifts = make_model(settings['recipe']), settings['energy_shifts']
    offsets = frames['offsets']
    energies, forces = np.full(len(offsets) - 1, np.nan), np.full((int(offsets[-1]), 3), np.nan)
    for index in range(len(energies)):
        atoms = slice(int(offsets[index]), int(offsets[index + 1]))
        numbers = frames['numbers'][atoms].astype(np.int64)
        cell, _ = periodic_cell(frames['cells'][index], frames['pbc'][index], frames['positions'][atoms])
        given = (frames['positions'][atoms], atomic_masses[numbers], cell.T[None].copy())
        positions, masses, column_cell = (torch.as_tensor(a, dtype=model.dtype, device=model.device) for a in given)
        state = torch_sim.SimState(
            positions=positions,
            masses=masses,
            cell=column_cell,
            pbc=True,
            atomic_numbers=torch.as_tensor(numbers, device=model.device),
            system_idx=torch.zeros(len(numbers), dtype=torch.int64, device=model.device),
        )
        results = model(state)
        energies[index] = float(results['energy'].detach()[0])
        energies[index] += sum(shifts.get(chemical_symbols[number], 0.0) for number in numbers)
        forces[atoms] = results['forces'].detach().cpu().numpy()
    np.savez(settings['predictions'], energies=energies, forces=forces)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
