"""Run gracemaker to a number of gradient updates; started on the compute node, in the environment of the trainer.

``python train_grace.py plan.json``. The adapter copies this file into the working directory and never imports it there.
Gracemaker counts epochs, overwrites its checkpoint in place, and exports the weights with the lowest validation loss.
Here

- each point of the learning curve becomes one line of :data:`CURVE`, counted in gradient updates over all restarts;
- a checkpoint is written beside the one before, which is removed when the new one is whole, so that a job may be killed
  at any time;
- the exported model has the last weights, those whose errors are the last line of the learning curve;
- a loss that is not a finite number ends the training.

The plan holds ``input`` (of gracemaker), ``arguments`` (its command-line options), ``seed``, ``device``, ``is_restart``
and ``gradient_updates_done``.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CURVE = Path('learning_curve.jsonl')
CHECKPOINTS = Path('checkpoints')
CURRENT = CHECKPOINTS / 'current.json'
"""Says which checkpoint is whole, and for how many gradient updates it stands."""
MODEL = Path('final_model')
COMPLETE = 'aiida_edl: the training has reached its target'
"""Printed after the last epoch, before the model is exported."""
DIVERGED = 'aiida_edl: the loss is not a finite number'
"""Printed when the training is ended for that."""


def append_line(entry: Mapping[str, Any]) -> None:
    """Append one line to the learning curve."""
    with CURVE.open('a', encoding='utf-8') as handle:
        handle.write(json.dumps(entry) + '\n')


def current_checkpoint() -> dict[str, Any]:
    """Return name and gradient updates of the checkpoint that is whole.

    :raises SystemExit: if there is none.
    """
    if not CURRENT.is_file():
        raise SystemExit(f'{CURRENT} is missing; a restart needs the checkpoint of the training it goes on from')
    document: dict[str, Any] = json.loads(CURRENT.read_text(encoding='utf-8'))
    return document


def curve_writer(gradient_updates_done: int) -> Callable[..., None]:
    """Return what stands in for the function with which gracemaker writes its errors.

    :param gradient_updates_done: optimiser steps before this start.
    """
    training: dict[str, Any] = {}

    def write(filename: str, metrics: Mapping[str, Any], strategy: Any = None) -> None:
        values = {key: float(value) for key, value in metrics.items() if isinstance(value, (int, float))}
        if 'total_loss/train' in values:
            training['loss'] = values['total_loss/train'] if values.get('step') else None
            return
        append_line(
            {
                'gradient_updates': gradient_updates_done + int(values.get('step', 0)),
                'energy_rmse': values['rmse/depa'],
                'force_rmse': values['rmse/f_comp'],
                'training_loss': training['loss'],
            }
        )
        if not all(math.isfinite(values[key]) for key in ('total_loss/test', 'rmse/depa', 'rmse/f_comp')):
            raise SystemExit(DIVERGED)

    return write


def checkpoint_writer(original: Callable[..., None], gradient_updates_done: int) -> Callable[..., None]:
    """Return what stands in for the method with which gracemaker writes a checkpoint.

    :param original: the method.
    :param gradient_updates_done: optimiser steps before this start.
    """

    def write(model: Any, suffix: str = '', **_: Any) -> None:
        if suffix:
            return  # the weights with the lowest validation loss, which are not used
        updates = gradient_updates_done + model.step
        CHECKPOINTS.mkdir(exist_ok=True)
        name = f'checkpoint-{updates}'
        original(model, checkpoint_name=str(CHECKPOINTS / name))
        temporary = CURRENT.with_suffix('.tmp')
        temporary.write_text(json.dumps({'name': name, 'gradient_updates': updates}) + '\n', encoding='utf-8')
        temporary.replace(CURRENT)
        for path in CHECKPOINTS.glob('checkpoint-*'):
            if path.is_file() and not path.name.startswith(f'{name}.'):
                path.unlink()

    return write


def checkpoint_reader(original: Callable[..., None]) -> Callable[..., None]:
    """Return what stands in for the method with which gracemaker reads a checkpoint: always the one that is whole.

    :param original: the method.
    """

    def read(model: Any, suffix: str = '', **options: Any) -> None:
        if suffix:  # after the last epoch gracemaker asks for the weights with the lowest validation loss
            sys.stdout.write(COMPLETE + '\n')
        original(model, **(options | {'checkpoint_name': str(CHECKPOINTS / current_checkpoint()['name'])}))

    return read


def check_device(device: str) -> None:
    """Check that there is a GPU if one is asked for; TensorFlow would go on without.

    :param device: ``'cpu'`` or ``'cuda'``.
    :raises SystemExit: if there is none.
    """
    import tensorflow  # noqa: PLC0415

    if device == 'cuda' and not tensorflow.config.list_physical_devices('GPU'):
        raise SystemExit("device is 'cuda', but TensorFlow finds no GPU; use a node with one, or device 'cpu'")


def train(plan: Mapping[str, Any]) -> None:
    """Train and export.

    :param plan: see above.
    """
    # Before TensorFlow, for it tells TensorFlow which Keras to use.
    from tensorpotential import TensorPotential  # noqa: PLC0415
    from tensorpotential.cli import gracemaker  # noqa: PLC0415
    from tensorpotential.cli import train as trainer  # noqa: PLC0415

    check_device(plan['device'])
    done = plan['gradient_updates_done']
    if plan['is_restart']:
        done = current_checkpoint()['gradient_updates']
        append_line({'restart_from': done})
    trainer.dump_metrics = curve_writer(done)
    TensorPotential.save_checkpoint = checkpoint_writer(TensorPotential.save_checkpoint, done)
    TensorPotential.load_checkpoint = checkpoint_reader(TensorPotential.load_checkpoint)
    gracemaker.main([plan['input'], *plan['arguments']])
    exported = Path('seed') / str(plan['seed']) / MODEL
    exported.rename(MODEL)  # in one step: the model is there when it is whole
    shutil.rmtree('seed')


if __name__ == '__main__':
    train(json.loads(Path(sys.argv[1]).read_text(encoding='utf-8')))
