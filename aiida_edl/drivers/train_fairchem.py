"""Train a model of fairchem-core and export it, with its errors, checkpoints and restarts as this package wants them.

``python train_fairchem.py train CONFIG [--parent CHECKPOINT --references given|parent]`` runs fairchem on a
configuration whose data, order of batches and callback are the classes below; ``python train_fairchem.py export
STATE MODEL`` writes the file that its ASE calculator loads.

Runs on the compute node in the environment of fairchem. It is a program of its own because fairchem prints mean
absolute errors with four digits, writes a checkpoint as a folder of files that name absolute paths, ends without one
when it is told to stop, and hides a loss that is not a number. Here instead

- ``log.jsonl`` has one line for each evaluation on the validation set: ``gradient_updates``, ``energy_rmse``
  [eV/atom], ``force_rmse`` [eV/Å] and ``training_loss``, the mean since the line before; the last line of a training
  that reached its target is ``{"complete": true}``, that of one that was told to stop ``{"stopped": <updates>}``;
- ``checkpoint.pt``, replaced in one step, holds weights, their average and the state of the optimiser;
- SIGTERM leads to a checkpoint after the update under way, and to the end of the program;
- an error that is not a finite number ends the program; the checkpoint is then the last good one.
"""

from __future__ import annotations

import importlib
import json
import math
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from ase import Atoms

LOG = 'log.jsonl'
CHECKPOINT = 'checkpoint.pt'
FINE_TUNING_CONFIG = 'fine_tuning.yaml'
STOPPED = 3
"""Exit status after SIGTERM."""
DIVERGED = 4
"""Exit status after an error that is not a finite number."""
received_signals: list[int] = []
"""Signals by which this program was told to stop."""


def remember_signal(number: int, _: FrameType | None) -> None:
    """Take note that this program shall stop after the update under way."""
    received_signals.append(number)


def backend(name: str) -> Any:
    """Return a module of the environment of fairchem, so that this file can be read where there is none."""
    return importlib.import_module(name)


class Frames:
    """Labelled frames of an ``.npz`` file, as fairchem takes them."""

    def __init__(
        self, path: str, *, dataset: str, precision: str, energy: str = 'energy', forces: str = 'forces'
    ) -> None:
        """Read all frames.

        :param path: file with ``numbers``, ``positions`` [Å], ``offsets``, ``cells`` [Å], ``pbc``, ``energies`` [eV],
            ``forces`` [eV/Å] and, for a model that knows the charge, ``column_total_charge`` [e].
        :param dataset: name of the set, by which tasks and embeddings of fairchem know it.
        :param precision: ``'float32'`` or ``'float64'``.
        :param energy: name of the task that learns the energy.
        :param forces: name of the task that learns the forces.
        """
        with np.load(path) as archive:
            self.arrays = {name: archive[name] for name in archive.files}
        self.dataset, self.precision, self.energy, self.forces = dataset, precision, energy, forces
        self.dataset_names = [dataset]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.arrays['offsets']) - 1

    def __getitem__(self, index: int) -> Any:
        """Return one frame with its labels under the names of the tasks."""
        torch, atomic_data = backend('torch'), backend('fairchem.core.datasets.atomic_data')
        arrays, dtype = self.arrays, getattr(torch, self.precision)
        atoms_slice = slice(int(arrays['offsets'][index]), int(arrays['offsets'][index + 1]))
        charge = int(arrays['column_total_charge'][index]) if 'column_total_charge' in arrays else 0
        atoms = Atoms(
            numbers=arrays['numbers'][atoms_slice].astype(int),
            positions=arrays['positions'][atoms_slice],
            cell=arrays['cells'][index],
            pbc=arrays['pbc'][index],
            info={'charge': charge, 'spin': 0},
        )
        data = atomic_data.AtomicData.from_ase(
            atoms, r_data_keys=['charge', 'spin'], task_name=self.dataset, target_dtype=dtype, sid=str(index)
        )
        data.dataset_name = self.dataset
        data[self.energy] = torch.tensor([float(arrays['energies'][index])], dtype=dtype)
        data[self.forces] = torch.tensor(arrays['forces'][atoms_slice], dtype=dtype)
        return data


class Batches:
    """Which frames make up each batch: all frames in one pass, or shuffled passes up to a number of batches."""

    def __init__(
        self,
        *,
        dataset: Frames,
        num_replicas: int,
        rank: int,
        batch_size: int,
        n_batches: int | None = None,
        seed: int = 0,
    ) -> None:
        """Store the settings.

        :param dataset: the frames.
        :param num_replicas: processes that share the training; 1.
        :param rank: number of this process; 0.
        :param batch_size: frames in a batch.
        :param n_batches: batches of the whole training, of full size all of them; None for one pass in order.
        :param seed: seed of the order.
        """
        self.n_frames, self.batch_size, self.n_batches, self.seed = len(dataset), batch_size, n_batches, seed
        self.first = 0

    def __len__(self) -> int:
        """Return the number of batches."""
        return math.ceil(self.n_frames / self.batch_size) if self.n_batches is None else self.n_batches

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the frames of each batch, from the first that is not done."""
        size = self.batch_size
        if self.n_batches is None:
            yield from (list(range(self.n_frames))[start : start + size] for start in range(0, self.n_frames, size))
            return
        per_pass = self.n_frames // size
        for number in range(self.first, self.n_batches):
            order = np.random.default_rng((self.seed, number // per_pass)).permutation(self.n_frames)
            start = number % per_pass * size
            yield order[start : start + size].tolist()

    def set_epoch_and_start_iteration(self, epoch: int, start_iter: int) -> None:
        """Begin at a batch; the whole training is one epoch."""
        self.first = start_iter


def collate(frames: list[Any]) -> Any:
    """Return frames as one batch."""
    return backend('fairchem.core.datasets.atomic_data').atomicdata_list_to_batch(frames)


def in_precision(model: Any, precision: str) -> Any:
    """Return a model with weights and constants in a precision.

    :param model: module of PyTorch.
    :param precision: ``'float32'`` or ``'float64'``.
    """
    return model.to(getattr(backend('torch'), precision))


class Progress:
    """Callback that evaluates, writes log and checkpoints, restarts, and stops when the program is told to."""

    def __init__(self, *, energy: str, forces: str, interval: int, n_updates: int, is_restart: bool) -> None:
        """Store the settings.

        :param energy: name of the task that learns the energy.
        :param forces: name of the task that learns the forces.
        :param interval: gradient updates between two evaluations.
        :param n_updates: gradient updates of the whole training.
        :param is_restart: whether to go on from the checkpoint in the working directory.
        """
        self.energy, self.forces, self.interval, self.n_updates = energy, forces, interval, n_updates
        self.is_restart = is_restart
        self.losses: list[float] = []

    @property
    def name(self) -> str:
        """Name of the callback."""
        return type(self).__name__

    def on_train_start(self, state: Any, unit: Any) -> None:
        """Go on from the checkpoint, or take the errors of the model as it is before its first update."""
        signal.signal(signal.SIGTERM, remember_signal)
        if not self.is_restart:
            Path(LOG).unlink(missing_ok=True)
            self.evaluate(state, unit)
            return
        self.losses = restore(state, unit)
        updates = unit.train_progress.num_steps_completed
        if updates >= self.n_updates:
            # No batch is left, and an epoch without one would be evaluated again.
            state.stop()
            if updates > last_logged_update():
                self.evaluate(state, unit)

    def on_train_step_end(self, state: Any, unit: Any) -> None:
        """Evaluate when it is time, and stop if this program was told to."""
        self.losses.append(float(unit.last_loss))
        updates = unit.train_progress.num_steps_completed
        if received_signals:
            save_checkpoint(unit, self.losses)
            append({'stopped': updates})
            raise SystemExit(STOPPED)
        # After the last update fairchem itself evaluates.
        if updates % self.interval == 0 and updates < self.n_updates:
            self.evaluate(state, unit)

    def evaluate(self, state: Any, unit: Any) -> None:
        """Take the errors on the validation set."""
        evaluation = unit.eval_unit
        evaluation.on_eval_epoch_start(state)
        with backend('torch').no_grad():
            for batch in state.eval_state.dataloader:
                evaluation.eval_step(state, batch)
        self.on_eval_epoch_end(state, unit)

    def on_eval_epoch_end(self, state: Any, unit: Any) -> None:
        """Write a checkpoint and the errors of the evaluation that has just ended; stop if they are not finite."""
        metrics = unit.eval_unit.running_metrics
        (energy,), (forces,) = (metrics[task].values() for task in (self.energy, self.forces))
        point = {
            'gradient_updates': unit.train_progress.num_steps_completed,
            'energy_rmse': math.sqrt(energy['per_atom_mse'].total / energy['per_atom_mse'].numel),
            'force_rmse': math.sqrt(forces['mse'].total / forces['mse'].numel),
            'training_loss': sum(self.losses) / len(self.losses) if self.losses else math.nan,
        }
        is_finite = math.isfinite(point['energy_rmse']) and math.isfinite(point['force_rmse'])
        if is_finite:
            save_checkpoint(unit, self.losses)
        append(point)
        self.losses = []
        if not is_finite:
            raise SystemExit(DIVERGED)

    def on_train_end(self, state: Any, unit: Any) -> None:
        """Say that the target is reached."""
        append({'complete': True})


def append(entry: dict[str, Any]) -> None:
    """Append a line to the log."""
    with Path(LOG).open('a', encoding='utf-8') as handle:
        handle.write(json.dumps(entry) + '\n')


def last_logged_update() -> int:
    """Return the gradient update of the last point in the log, -1 without one."""
    lines = Path(LOG).read_text(encoding='utf-8').splitlines()
    return int(json.loads(lines[-1])['gradient_updates']) if lines else -1


def save_checkpoint(unit: Any, losses: list[float]) -> None:
    """Write the state of a training in one step: whoever kills the program leaves the old file or the new one.

    :param unit: the training.
    :param losses: losses of the updates since the last point of the log.
    """
    config = backend('omegaconf').OmegaConf.load(unit.job_config.metadata.config_path).runner.train_eval_unit
    whole_model = unit.get_finetune_model_config()
    state = unit.state_dict()
    content = {
        'gradient_updates': unit.train_progress.num_steps_completed,
        'losses': losses,
        'weights': {name: state[name] for name in ('model', 'ema', 'optim')},
        'model_config': config.model.model if whole_model is None else whole_model,
        'tasks_config': config.tasks,
    }
    temporary = Path(CHECKPOINT + '.tmp')
    backend('torch').save(content, temporary)
    temporary.replace(CHECKPOINT)


def restore(state: Any, unit: Any) -> list[float]:
    """Go on from the checkpoint with the rates of this configuration; lines of the log after it are dropped.

    :return: losses of the updates since the last point of the log.
    """
    content = backend('torch').load(CHECKPOINT, map_location='cpu', weights_only=False)
    updates = int(content['gradient_updates'])
    # The whole training is one epoch, whose end is set by the configuration and not by the checkpoint.
    progress = {
        'num_epochs_completed': 0,
        'num_steps_completed': updates,
        'num_steps_completed_in_epoch': updates,
    }
    fresh = unit.scheduler.state_dict()
    schedule = {**fresh, 'last_epoch': updates, '_step_count': updates + 1}
    unit.load_state_dict(
        {**content['weights'], 'progress': {**unit.train_progress.state_dict(), **progress}, 'scheduler': schedule}
    )
    for group, base_rate, factor in zip(
        unit.optimizer.param_groups, unit.scheduler.base_lrs, unit.scheduler.lr_lambdas
    ):
        group['initial_lr'] = base_rate
        group['lr'] = base_rate * factor(updates)
    state.train_state.dataloader.batch_sampler.set_epoch_and_start_iteration(0, updates)
    log = Path(LOG)
    lines = log.read_text(encoding='utf-8').splitlines() if log.is_file() else []
    kept = [
        line for line in lines if line.endswith('}') and json.loads(line).get('gradient_updates', math.inf) <= updates
    ]
    log.write_text(''.join(line + '\n' for line in kept), encoding='utf-8')
    is_logged = last_logged_update() == updates
    return [] if is_logged else list(content.get('losses', []))


def fine_tuning_config(config: dict[str, Any], parent: str, references: str) -> dict[str, Any]:
    """Return a configuration in which tasks and dataset are those of a parent, whose heads are kept.

    :param config: configuration for a training from the beginning.
    :param parent: path of the checkpoint of the parent.
    :param references: ``'parent'`` for the atomic energies of the parent, ``'given'`` for those of the configuration.
    :raises ValueError: if the parent was trained on several datasets and the configuration names none of them.
    """
    omega_conf = backend('omegaconf').OmegaConf
    checkpoint = backend('torch').load(parent, map_location='cpu', weights_only=False)
    tasks = omega_conf.to_container(omega_conf.create(list(checkpoint.tasks_config)), resolve=True)
    runner = config['runner']
    known = sorted({dataset for task in tasks for dataset in task['datasets']})
    asked = runner['train_dataloader']['dataset']['dataset']
    dataset = known[0] if len(known) == 1 else asked
    if dataset not in known:
        raise ValueError(f"the dataset is named '{asked}', the parent knows {known}; set task_name to one of them")
    own = {task['property']: task for task in runner['train_eval_unit']['tasks']}
    chosen = {}
    for task in tasks:
        kind = task['property']
        if dataset in task['datasets'] and kind in own and kind not in chosen:
            taken = {key: own[kind][key] for key in ('loss_fn', 'metrics')} | {'datasets': [dataset]}
            if kind == 'energy' and references == 'given':
                taken['element_references'] = own[kind]['element_references']
            chosen[kind] = {**task, **taken}
    if missing := sorted(set(own) - set(chosen)):
        raise ValueError(f"the parent has no task for {missing} of '{dataset}'; give one that was trained on both")
    names = {kind: task['name'] for kind, task in chosen.items()}
    for loader in ('train_dataloader', 'eval_dataloader'):
        runner[loader]['dataset'].update(dataset=dataset, **names)
    runner['callbacks'][0].update(names)
    runner['train_eval_unit']['tasks'] = list(chosen.values())
    runner['train_eval_unit']['model']['model'] = {
        '_target_': 'fairchem.core.units.mlip_unit.mlip_unit.initialize_finetuning_model',
        'checkpoint_location': parent,
    }
    return config


def train(config_path: str, parent: str | None, references: str) -> None:
    """Run fairchem on a configuration.

    :param config_path: the configuration.
    :param parent: checkpoint of the model from which to start; None to start from random weights.
    :param references: whose atomic energies hold, see :func:`fine_tuning_config`.
    """
    torch, yaml = backend('torch'), backend('yaml')
    config = yaml.safe_load(Path(config_path).read_text(encoding='utf-8'))
    # Constants that a model makes for itself are then of this precision too.
    torch.set_default_dtype(getattr(torch, config['runner']['train_eval_unit']['model']['precision']))
    if parent is not None:
        config_path = FINE_TUNING_CONFIG
        changed = fine_tuning_config(config, parent, references)
        Path(config_path).write_text(yaml.safe_dump(changed), encoding='utf-8')
    sys.argv = ['fairchem', '-c', config_path]
    backend('fairchem.core._cli').main()


def export(source: str, target: str) -> None:
    """Write the model of a checkpoint with its averaged weights, which are those that were validated.

    :param source: checkpoint of :func:`save_checkpoint`.
    :param target: file for the ASE calculator of fairchem.
    """
    torch, inference = backend('torch'), backend('fairchem.core.units.mlip_unit.api.inference')
    content = torch.load(source, map_location='cpu', weights_only=False)
    averaged = content['weights']['ema']
    model = inference.MLIPInferenceCheckpoint(
        model_config=content['model_config'],
        # A later fine-tuning starts from these.
        model_state_dict={name.removeprefix('module.'): averaged[name] for name in averaged if name != 'n_averaged'},
        ema_state_dict=averaged,
        tasks_config=content['tasks_config'],
    )
    torch.save(model, target)


def main(arguments: list[str]) -> None:
    """Train or export."""
    command, first, *others = arguments
    if command == 'export':
        export(first, others[0])
        return
    options = dict(zip(others[::2], others[1::2]))
    train(first, options.get('--parent'), options.get('--references', 'given'))


if __name__ == '__main__':
    main(sys.argv[1:])
