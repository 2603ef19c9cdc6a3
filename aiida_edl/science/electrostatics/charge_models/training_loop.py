"""The loop of a training by this package: batches, step sizes, evaluations, checkpoints, and how it is stopped.

- ``log.jsonl`` has one line for each evaluation on the validation set: ``gradient_updates``, ``energy_rmse``
  [eV/atom], ``force_rmse`` [eV/Å], perhaps more, and ``training_loss``, the mean since the line before; the last line
  of a training that reached its target is ``{"complete": true}``, that of one that was told to stop
  ``{"stopped": <updates>}``;
- ``checkpoint.pt``, replaced in one step, holds weights and the state of the optimiser;
- SIGTERM, of which the program lets :func:`remember_signal` take note, leads to a checkpoint after the update under
  way, and to the end of the program;
- an error that is not a finite number ends the program; the checkpoint is then the last good one.

Needs torch.
"""

from __future__ import annotations

import abc
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

LOG = Path('log.jsonl')
CHECKPOINT = Path('checkpoint.pt')
STOPPED = 3
"""Exit status after SIGTERM."""
DIVERGED = 4
"""Exit status after an error that is not a finite number."""
RISING = 0.3
"""Share of the updates in which the step size rises, as in OneCycleLR of PyTorch."""
FIRST_RATIO, LAST_RATIO = 1.0 / 25.0, 1.0 / 250000.0
"""Step sizes at the beginning and the end over the largest, as in OneCycleLR of PyTorch."""
received_signals: list[int] = []
"""Signals by which this program was told to stop."""


def remember_signal(number: int, _: FrameType | None) -> None:
    """Take note that this program shall stop after the update under way."""
    received_signals.append(number)


@dataclass(frozen=True)
class LoopSettings:
    """How a model is trained."""

    gradient_updates: int
    """Target, counted from the very first start."""
    seed: int
    """Seed of the first weights and of the order of the frames."""
    precision: str
    """``'float32'`` or ``'float64'``."""
    device: str
    """``'cpu'`` or ``'cuda'``."""
    batch_size: int
    """Frames per gradient update."""
    learning_rate: float
    """Largest step size of AdamW."""
    schedule: str
    """``'one_cycle'`` or ``'constant'``."""
    weight_decay: float
    """Decay of the weights per update, in units of the step size."""
    gradient_clip: float
    """Largest norm of the gradient of the loss."""
    n_evaluations: int
    """About how many times the errors are taken."""
    is_restart: bool
    """Whether to go on from the checkpoint."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers."""
        return torch.float64 if self.precision == 'float64' else torch.float32

    @property
    def interval(self) -> int:
        """Gradient updates between two evaluations."""
        return max(1, math.ceil(self.gradient_updates / self.n_evaluations))

    def rate(self, update: int) -> float:
        """Return the step size of an update, counted from 0.

        One cycle (L. N. Smith and N. Topin, arXiv:1708.07120) rises to the largest along a cosine, then falls.
        """
        if self.schedule == 'constant':
            return self.learning_rate
        rising = RISING * self.gradient_updates
        start, end, share = FIRST_RATIO, 1.0, update / rising
        if update > rising:
            start, end, share = 1.0, LAST_RATIO, (update - rising) / max(self.gradient_updates - rising, 1.0)
        return self.learning_rate * (end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0))))


def batch_of(n_frames: int, training: LoopSettings, update: int) -> list[int]:
    """Return the frames of one update: each pass through the set has an order of its own.

    :param n_frames: frames of the training set.
    :param training: settings.
    :param update: number of the update, from 0.
    """
    per_pass = n_frames // training.batch_size
    order = np.random.default_rng((training.seed, update // per_pass)).permutation(n_frames)
    start = update % per_pass * training.batch_size
    return [int(index) for index in order[start : start + training.batch_size]]


def append(entry: dict[str, Any]) -> None:
    """Append a line to the log."""
    with LOG.open('a', encoding='utf-8') as handle:
        handle.write(json.dumps(entry) + '\n')


def last_logged_update() -> int:
    """Return the gradient update of the last point in the log, -1 without one."""
    lines = LOG.read_text(encoding='utf-8').splitlines() if LOG.is_file() else []
    return int(json.loads(lines[-1])['gradient_updates']) if lines else -1


class TrainingLoop(abc.ABC):
    """A model under training.

    :param model: the model, in the type and at the place of the settings.
    :param settings: how it is trained.
    :param n_frames: frames of the training set.
    :param ema_decay: decay per update of the moving average of the weights that is validated; 0 for no average.
    """

    def __init__(self, model: torch.nn.Module, settings: LoopSettings, n_frames: int, ema_decay: float = 0.0) -> None:
        self.model, self.settings, self.n_frames = model, settings, n_frames
        self.weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.ema_decay = ema_decay
        self.average = [weight.detach().clone() for weight in self.weights] if ema_decay else []
        self.optimiser = torch.optim.AdamW(self.weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.updates = 0
        self.losses: list[float] = []

    @abc.abstractmethod
    def differentiate(self, frames: list[int]) -> float:
        """Add the derivatives of the loss to the gradients of the weights, and return the loss.

        :param frames: indices of frames of the training set.
        """

    @abc.abstractmethod
    def errors(self) -> dict[str, float]:
        """Return the errors on the validation set: ``energy_rmse`` [eV/atom], ``force_rmse`` [eV/Å], perhaps more."""

    def run(self) -> int:
        """Train until the target, or until told to stop; return the exit status."""
        if self.settings.is_restart:
            self.restore()
        else:
            LOG.unlink(missing_ok=True)
        if last_logged_update() < self.updates and self.is_due() and not self.evaluate():
            return DIVERGED
        while self.updates < self.settings.gradient_updates:
            self.update()
            if received_signals:
                self.save()
                append({'stopped': self.updates})
                return STOPPED
            if self.is_due() and not self.evaluate():
                return DIVERGED
        append({'complete': True})
        return 0

    def is_due(self) -> bool:
        """Return whether the errors are to be taken now."""
        return self.updates % self.settings.interval == 0 or self.updates >= self.settings.gradient_updates

    def update(self) -> None:
        """Take one step of the optimiser."""
        for group in self.optimiser.param_groups:
            group['lr'] = self.settings.rate(self.updates)
        self.optimiser.zero_grad()
        loss = self.differentiate(batch_of(self.n_frames, self.settings, self.updates))
        torch.nn.utils.clip_grad_norm_(self.weights, self.settings.gradient_clip)
        self.optimiser.step()
        for mean, weight in zip(self.average, self.weights):
            mean.lerp_(weight.detach(), 1.0 - self.ema_decay)
        self.losses.append(loss)
        self.updates += 1

    def evaluate(self) -> bool:
        """Take the errors on the validation set, and write a checkpoint; return whether they are finite."""
        with self.averaged():
            found = self.errors()
        mean_loss = sum(self.losses) / len(self.losses) if self.losses else math.nan
        is_finite = all(math.isfinite(value) for value in found.values())
        if is_finite:
            self.save()
        append({'gradient_updates': self.updates, **found, 'training_loss': mean_loss})
        self.losses = []
        return is_finite

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have the moving average of its weights, if there is one."""
        own = [weight.detach().clone() for weight in self.weights] if self.average else []
        self._set(self.average)
        try:
            yield
        finally:
            self._set(own)

    def _set(self, values: list[torch.Tensor]) -> None:
        """Give the weights values; an empty list leaves them as they are."""
        with torch.no_grad():
            for weight, value in zip(self.weights, values):
                weight.copy_(value)

    def save(self) -> None:
        """Write the state in one step: whoever kills the program leaves the old file or the new one."""
        content = {
            'gradient_updates': self.updates,
            'losses': self.losses,
            'model': self.model.state_dict(),
            'optimiser': self.optimiser.state_dict(),
            'average': self.average,
        }
        temporary = CHECKPOINT.with_suffix('.tmp')
        torch.save(content, temporary)
        temporary.replace(CHECKPOINT)

    def load(self) -> dict[str, Any]:
        """Take the weights of the checkpoint, and return all that it holds."""
        content: dict[str, Any] = torch.load(CHECKPOINT, map_location=self.settings.device, weights_only=True)
        self.model.load_state_dict(content['model'])
        self.average = content.get('average', [])  # not in checkpoints of earlier versions
        return content

    def restore(self) -> None:
        """Go on from the checkpoint; lines of the log after it are dropped."""
        content = self.load()
        self.optimiser.load_state_dict(content['optimiser'])
        self.updates = int(content['gradient_updates'])
        lines = LOG.read_text(encoding='utf-8').splitlines() if LOG.is_file() else []
        kept = [
            line
            for line in lines
            if line.endswith('}') and json.loads(line).get('gradient_updates', math.inf) <= self.updates
        ]
        LOG.write_text(''.join(line + '\n' for line in kept), encoding='utf-8')
        self.losses = [] if last_logged_update() == self.updates else list(content['losses'])
