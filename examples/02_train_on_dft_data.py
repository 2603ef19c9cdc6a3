r"""Train MACE and DP on density-functional data by the same work chain, and compare their errors.

Import the data first; what the keys mean is stated, and stored with the data set::

    aiida-edl dataset import train.extxyz --energy-key free_energy --stress-key stress --sides 2 --label gold \
        --level-of-theory "VASP, RPBE as stated by the origin, unverified" --origin "where the file comes from"
    python examples/02_train_on_dft_data.py gold

The potentials and their errors are in the graph: ``aiida-edl query errors``.
"""

from __future__ import annotations

import argparse

from aiida import load_profile
from aiida.engine import run_get_node
from aiida.orm import Dict, Int, List, Str, load_code, load_node

from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.workflows.evaluation import EvaluationWorkChain
from aiida_edl.workflows.training import TrainingWorkChain


def train_and_evaluate(architecture: str, inputs: dict, hyperparameters: dict) -> dict:
    """Return the summary of the errors of one potential, trained by the work chain that every architecture uses."""
    values = TrainingWorkChain.get_protocol_hyperparameters(architecture, 'fast', hyperparameters)
    training = {**inputs, 'architecture': Str(architecture), 'hyperparameters': Dict(values)}
    outputs, node = run_get_node(TrainingWorkChain, training=training)
    if not node.is_finished_ok:
        raise SystemExit(f'{architecture}: exit status {node.exit_status}: {node.exit_message}')
    evaluation = {name: inputs[name] for name in ('dataset', 'split', 'code')}
    evaluated, node = run_get_node(EvaluationWorkChain, evaluation={**evaluation, 'potential': outputs['potential']})
    if not node.is_finished_ok:
        raise SystemExit(f'{architecture}: exit status {node.exit_status}: {node.exit_message}')
    return evaluated['errors'].get_dict()['summary']


def main() -> None:
    """Split, train twice, print two lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('dataset', help='identifier or label of a labelled data set')
    parser.add_argument('--python-code', default='engines-python@localhost')
    parser.add_argument('--gradient-updates', type=int, default=400)
    parser.add_argument('--n-training', type=int, default=64, help='frames to train on')
    parser.add_argument('--charge-state', type=int, default=0, help='number of ions in the cells')
    arguments = parser.parse_args()

    load_profile()
    dataset = load_node(arguments.dataset)
    sizes = {'n_training': arguments.n_training, 'n_validation': 8, 'n_test': 16}
    settings = Dict({**sizes, 'charge_states': [arguments.charge_state], 'n_blocks': 10, 'seed': 1})
    inputs = {
        'dataset': dataset,
        'split': split_dataset(dataset, settings),
        'seed': Int(1),
        'elements': List(list(dataset.elements)),
        'atomic_energies': fit_atomic_energies(dataset),
        'gradient_updates': Int(arguments.gradient_updates),
        'code': load_code(arguments.python_code),
    }
    for architecture in ('mace', 'deep_potential'):
        summary = train_and_evaluate(architecture, inputs, {})
        print(
            f'{architecture}: force RMSE {summary["force_rmse_ev_per_angstrom"]:.3f} ± '
            f'{summary["force_rmse_error_ev_per_angstrom"]:.3f} eV/Å, energy RMSE '
            f'{1000 * summary["energy_rmse_ev_per_atom"]:.2f} meV/atom'
        )


if __name__ == '__main__':
    main()
