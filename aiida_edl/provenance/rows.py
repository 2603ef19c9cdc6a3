"""Rows of the answers to questions about a study; every node is named by its UUID, which holds in every profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiida_edl.science.analysis.remedies import PLAIN


@dataclass(frozen=True)
class TrainedPotential:
    """One potential and what it was trained on."""

    potential: str
    """UUID."""
    architecture: str
    """Entry-point name."""
    training_set: str
    """Name of the training set; empty if the training stands alone."""
    seed: int
    """Seed of the training."""
    training_charge_labels: tuple[str, ...]
    """Charge states of the frames the model saw."""
    gradient_updates: int
    """Optimiser steps."""
    receptive_field: float
    """How far the energy of an atom sees [Å]."""
    level_of_theory: str
    """What made the labels."""
    dataset: str
    """UUID of the data set."""
    split: str
    """UUID of the split."""
    training: str
    """UUID of the calculation."""
    remedy: str = PLAIN
    """What was done about the charge: whether it is told one, and whether electrostatics is added."""

    @property
    def name(self) -> str:
        """Name for people, e.g. ``mace, mixed, seed 1``."""
        return ', '.join(part for part in (self.architecture, self.training_set, f'seed {self.seed}') if part)


@dataclass(frozen=True)
class TrainingLabels:
    """Labels of one charge state that trained a potential."""

    potential: str
    charge_state: str
    """Charge label, e.g. ``'2Na'``."""
    level_of_theory: str
    n_training: int
    """Frames the weights were fitted to."""
    n_validation: int
    """Frames that chose among the weights."""
    dataset: str
    split: str
    labelling: tuple[str, ...]
    """UUIDs of the calculations that made labels of this charge state; empty if they were imported."""


@dataclass(frozen=True)
class Cost:
    """What one stage did cost."""

    stage: str
    calculations: int
    """Calculations of the stage."""
    failed: int
    """How many of them failed."""
    wall_seconds: float
    """Time the engines state for themselves [s]; 0 for functions that run inside AiiDA."""
    cpu_seconds: float
    """Processor time of the engines [s]."""
    elapsed_seconds: float
    """From creation to end of each calculation, summed, waiting included [s]."""


@dataclass(frozen=True)
class Rejected:
    """One frame whose label did not pass the gate."""

    charge_state: str
    frame: int
    """Index among the frames that were labelled together."""
    reason: str
    labelling: str
    """UUID of the calcfunction that assembled the labels."""


@dataclass(frozen=True)
class Failure:
    """One process that ended without success."""

    name: str
    """Where it was called."""
    process_label: str
    exit_status: int | None
    message: str
    process: str
    """UUID."""


@dataclass(frozen=True)
class LearningRound:
    """One round of active learning; what it did not do is None."""

    round: int
    n_training: int
    """Frames its committee was trained on."""
    n_members: int
    """Potentials of the committee."""
    test_force_rmse_ev_per_angstrom: float | None
    """Force RMSE on the test frames, mean over the committee [eV/Å]."""
    test_force_rmse_ev_per_angstrom_error: float | None
    """Its standard error over the committee [eV/Å]."""
    runs: int | None
    """Runs of the exploration."""
    failed_runs: int | None
    n_planned: int | None
    """Frames that the runs store unless they end early."""
    accurate: int | None
    """Frames with a deviation below the window."""
    candidate: int | None
    """Frames with a deviation in the window."""
    failed: int | None
    """Frames with a deviation above the window, or none."""
    lowest_accurate_share: float | None
    """Share of accurate frames in the charge state where it is lowest."""
    n_labelled: int | None
    n_rejected: int | None
    """Labels that did not pass the gate."""
    wall_seconds: float
    """Time that the programs of the round state for themselves [s]."""
    report: str
    """UUID of the report of the round."""


@dataclass(frozen=True)
class FineTuningRound:
    """One round of a potential that finds its own frames; what it did not do is None."""

    round: int
    is_retrained: bool
    """Whether the potential was fine-tuned in this round."""
    n_training: int
    """Frames that the potential at the end of the round was fine-tuned on."""
    own_force_rmse_ev_per_angstrom: float | None
    """Force RMSE on the labels of this round, before they were learnt [eV/Å]."""
    own_force_rmse_error_ev_per_angstrom: float | None
    """Its error bar over frames [eV/Å]."""
    test_force_rmse_ev_per_angstrom: float | None
    """Force RMSE on the test frames at the end of the round [eV/Å]."""
    test_force_rmse_error_ev_per_angstrom: float | None
    """Its error bar over frames [eV/Å]."""
    runs: int | None
    """Runs of the dynamics."""
    failed_runs: int | None
    n_planned: int | None
    """Frames that the runs store unless they end early."""
    n_frames: int | None
    """Frames that they have stored."""
    n_unphysical: int | None
    """Frames that were left out as unphysical."""
    n_labelled: int | None
    n_rejected: int | None
    """Labels that did not pass the gate."""
    wall_seconds: float
    """Time that the programs of the round state for themselves [s]."""
    report: str
    """UUID of the report of the round."""


@dataclass(frozen=True)
class DefectPoint:
    """Where a defect is from the beginning or since an event; without a carrier, an event that moved no known one."""

    system: str
    """Label of the structure that is run; empty outside a study."""
    model: str
    """Name of the model in its study."""
    family: str
    """Name of its family."""
    temperature_kelvin: float
    replica: int
    """Number of the run among those that count, from 0."""
    carrier: int | None
    """Number of the defect in the replica, from 0; those of the beginning come first."""
    kind: str
    """``'interstitial'``, ``'vacancy'``, or ``'shared'``: a lattice site with more than one atom."""
    time_fs: float
    """Time of the last jump of the event, or of the beginning [fs]."""
    x_angstrom: float | None
    """Position of the site, unfolded along the way of the defect [Å]."""
    y_angstrom: float | None
    z_angstrom: float | None
    is_end: bool
    """Whether the defect vanishes there."""
    mechanism: str
    """Event that led there: ``'knock_off'``, ``'direct'`` and so on; empty at the beginning."""
    n_atoms: int | None
    """Atoms that moved in it."""
    hopping: str
    """UUID of the result of the analysis."""


@dataclass(frozen=True)
class ProtocolRun:
    """One run that took its settings from a protocol."""

    process: str
    process_label: str
    label: str
    state: str
    exit_status: int | None


@dataclass(frozen=True)
class DependentFigure:
    """Numbers of a figure that follow from a node."""

    figure: str
    made_by: str
    """Process label."""
    node: str
    """UUID of the output."""
    output: str
    """Label of the output."""


def as_dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Return rows, dataclasses or dictionaries, as dictionaries of JSON types."""
    found = [dict(row) if isinstance(row, Mapping) else dataclasses.asdict(row) for row in rows]
    return [{key: list(v) if isinstance(v, tuple) else v for key, v in row.items()} for row in found]
