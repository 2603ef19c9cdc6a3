r"""How far the structure of a model's interface is from that of the reference.

The error integral of two radial distributions (X. Fu et al., Forces are not enough, Trans. Mach. Learn. Res. (2023),
where it is called the RDF MAE) and the score in [0, 1] of C. Schran et al., PNAS 118, e2110077118 (2021),

.. math::
    E = \int |g_m - g_r|\,\mathrm dr, \qquad
    S = 1 - \frac{\int |g_m - g_r|\,\mathrm dr}{\int g_m\,\mathrm dr + \int g_r\,\mathrm dr}

are never nil for runs of finite length. Two runs of the *same* interface with standard errors σ would have on average

.. math:: E_\mathrm{noise} = \sqrt{2/\pi} \int \sqrt{\sigma_m^2 + \sigma_r^2}\,\mathrm dr,

however the errors of different distances hang together, if they are normal. An integral well above it is a deviation
of the model. How large that is, E less its noise does not tell: the two add up to less than their sum. Without bias is

.. math:: D = \int (g_m - g_r)^2 - \sigma_m^2 - \sigma_r^2\,\mathrm dr,

if the errors are right; those of runs of few correlation times are too small, and D is then too large.

The standard error of E follows from the blocks of both runs: to first order its expectation changes with

.. math::
    \int \operatorname{erf}\left(\frac{g_m - g_r}{\sqrt{2 (\sigma_m^2 + \sigma_r^2)}}\right) g\,\mathrm dr,

of which each block gives a value. Simulated runs scatter as it says within a fifth, with a deviation and without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from aiida_edl.science.analysis.interface_structure import InterfaceStructure
from aiida_edl.science.analysis.model_tags import ModelTag
from aiida_edl.science.frames import Floats
from aiida_edl.science.uncertainty import Estimate, combine_replicas

CERTAIN = 1e-24
"""Smallest variance of a distribution that is told from none."""
RUN_SETTINGS = ('equilibration_frames', 'frame_stride', 'replica_column')
"""Settings in which runs that are compared may differ."""


@dataclass(frozen=True)
class ModelStructure:
    """The structure of one run, and what it was made with."""

    tag: ModelTag
    structure: InterfaceStructure
    why_excluded: str = ''
    """By which rule the run left physics and does not count; empty for a run that counts."""


@dataclass(frozen=True)
class DistributionDeviation:
    """Deviation of one radial distribution of one model from the reference."""

    tag: ModelTag
    pair: str
    """Pair of elements, e.g. ``'Na-O'``."""
    error_integral: float
    """Integral of the absolute difference over the distance [Å]."""
    error_integral_error: float
    """Its standard error [Å]; NaN with fewer than two blocks."""
    noise_integral: float
    """What runs of the same interface would have on average [Å]."""
    score: float
    """One for equal distributions, zero for those that share nothing."""
    n_masked_bins: int
    """Bins of the distance at which one of the two has no pairs of independent atoms, left out."""
    squared_deviation: float
    """Integral of the squared difference less what noise alone gives [Å]; unbiased if the errors are right."""


@dataclass(frozen=True)
class NumberDeviation:
    """Deviation of one number of one model from the reference."""

    tag: ModelTag
    observable: str
    """Name of the number, e.g. ``'coordination_mean'``."""
    value: float
    error: float
    reference: float
    reference_error: float

    @property
    def difference(self) -> float:
        """Value less that of the reference."""
        return self.value - self.reference

    @property
    def difference_error(self) -> float:
        """Standard error of the difference; NaN if one of the two is unknown."""
        return float(np.hypot(self.error, self.reference_error))


def distribution_deviations(runs: Sequence[ModelStructure]) -> list[DistributionDeviation]:
    """Return the deviations of all radial distributions of all models that have a reference.

    :param runs: models and references; several references of one charge state are replicas.
    :raises ValueError: if settings or ranges differ.
    """
    check_comparable(runs)
    found = []
    for run in runs:
        references = _references(runs, run)
        for index, pair in enumerate(run.structure.rdf.pairs if references else ()):
            if all(pair in other.structure.rdf.pairs for other in references):
                found.append(_distribution_deviation(run, references, (index, pair)))
    return found


def number_deviations(runs: Sequence[ModelStructure]) -> list[NumberDeviation]:
    """Return the deviations of all numbers of all models that have a reference.

    :param runs: models and references; several references of one charge state are replicas.
    :raises ValueError: if settings or ranges differ.
    """
    check_comparable(runs)
    found = []
    for run in runs:
        if not (references := _references(runs, run)):
            continue
        theirs = [(structure_numbers(item.structure), float(item.structure.n_frames)) for item in references]
        for name, (value, error) in structure_numbers(run.structure).items():
            given = [(*numbers[name], n_frames) for numbers, n_frames in theirs if name in numbers]
            if given:
                mean = combine_replicas([_estimate(*(np.array(number) for number in item)) for item in given])
                found.append(NumberDeviation(run.tag, name, value, error, float(mean.mean), float(mean.error)))
    return found


def models_without_reference(runs: Sequence[ModelStructure]) -> list[ModelTag]:
    """Return the tags of models at whose charge state there is no reference.

    :param runs: models and references.
    """
    return [run.tag for run in runs if not run.tag.is_reference and not _references(runs, run)]


def structure_numbers(structure: InterfaceStructure) -> dict[str, tuple[float, float]]:
    """Return the single numbers of a structure with their standard errors, by name.

    :param structure: the structure.
    """
    numbers = {
        f'coverage_{name}': (value, getattr(structure.coverage, f'{name}_error'))
        for name, value in vars(structure.coverage).items()
        if not name.endswith('_error')
    }
    bonds = structure.hydrogen_bonds
    numbers['hydrogen_bonds_per_water'] = (bonds.per_water, bonds.per_water_error)
    for kind in ('donated', 'accepted'):
        for layer, (low, high) in enumerate(zip(bonds.lower, bonds.upper)):
            values, errors = getattr(bonds, kind), getattr(bonds, f'{kind}_error')
            numbers[f'hydrogen_bonds_{kind}_{low:g}_{high:g}'] = (float(values[layer]), float(errors[layer]))
    if structure.coordination is not None:
        numbers['coordination_mean'] = (structure.coordination.mean, structure.coordination.mean_error)
    return numbers


def check_comparable(runs: Sequence[ModelStructure]) -> None:
    """Refuse structures that cannot be compared bin by bin.

    :param runs: models and references.
    :raises ValueError: if settings differ, or ranges within a charge state.
    """
    if not any(not run.tag.is_reference for run in runs):
        raise ValueError(f'a comparison needs structures of models, given were {len(runs)} of the reference')
    grids = [
        {name: value for name, value in run.structure.settings.to_dict().items() if name not in RUN_SETTINGS}
        for run in runs
    ]
    for run, grid in zip(runs, grids):
        if different := sorted(name for name, value in grid.items() if value != grids[0][name]):
            raise ValueError(
                f'structures of {run.tag} and {runs[0].tag} differ in {different}; make them with the same'
            )
        for other in _references(runs, run):
            if run.structure.rdf.r.shape != other.structure.rdf.r.shape:
                raise ValueError(
                    f'distributions of {run.tag} end at {run.structure.rdf.r[-1]:g} Å, those of the reference at '
                    f"{other.structure.rdf.r[-1]:g} Å; give both the setting 'rdf_range'"
                )


def _references(runs: Sequence[ModelStructure], run: ModelStructure) -> list[ModelStructure]:
    """Return the references a model is compared with; none for a reference."""
    if run.tag.is_reference:
        return []
    return [item for item in runs if item.tag.is_reference and item.tag.charge_state == run.tag.charge_state]


def _distribution_deviation(
    run: ModelStructure, references: Sequence[ModelStructure], which: tuple[int, str]
) -> DistributionDeviation:
    """Return the deviation of one distribution."""
    ours, (index, pair) = run.structure.rdf, which
    theirs = [(item.structure.rdf, item.structure.rdf.pairs.index(pair)) for item in references]
    sizes = [np.full(ours.r.shape, float(rdf.block_frames.sum())) for rdf, _ in theirs]
    reference = combine_replicas(
        [_estimate(rdf.g[place], rdf.g_error[place], size) for (rdf, place), size in zip(theirs, sizes)]
    )
    is_known = np.isfinite(ours.g[index]) & np.isfinite(reference.mean)
    width = 2.0 * ours.r[0]
    model, other = (np.where(is_known, values, 0.0) for values in (ours.g[index], reference.mean))
    variance = np.nan_to_num(ours.g_error[index]) ** 2 + np.nan_to_num(reference.error) ** 2
    # Where both runs are certain, the weight is the sign of the difference.
    certain = np.sqrt(np.maximum(2.0 * variance, CERTAIN))
    weights, total = erf((model - other) / certain) * width, float(np.sum(model + other) * width)
    integral = float(np.sum(np.abs(model - other)) * width)
    block_g = np.concatenate([rdf.block_g[:, place] for rdf, place in theirs])
    block_frames = np.concatenate([rdf.block_frames for rdf, _ in theirs])
    scatter = (
        _block_variance(np.nan_to_num(values) @ weights, frames.astype(np.float64))
        for values, frames in ((ours.block_g[:, index], ours.block_frames), (block_g, block_frames))
    )
    return DistributionDeviation(
        tag=run.tag,
        pair=pair,
        error_integral=integral,
        error_integral_error=float(np.sqrt(sum(scatter))),
        noise_integral=float(np.sqrt(2.0 / np.pi) * np.sum(np.sqrt(variance[is_known])) * width),
        score=1.0 - integral / total if total > 0.0 else float('nan'),
        n_masked_bins=int(np.count_nonzero(~is_known)),
        squared_deviation=float(np.sum(((model - other) ** 2 - variance)[is_known]) * width),
    )


def _block_variance(values: Floats, weights: Floats) -> float:
    """Return the variance of the weighted mean of blocks; NaN for fewer than two."""
    if len(values) < 2:
        return float('nan')
    shares = weights / weights.sum()
    return float(np.sum((shares * (values - shares @ values)) ** 2) * len(values) / (len(values) - 1))


def _estimate(mean: Floats, error: Floats, size: Floats) -> Estimate:
    """Return an estimate that weighs as many samples as it has frames."""
    known = np.where(np.isfinite(mean), size, 0.0)
    return Estimate(mean=mean, error=error, n_effective=known, correlation_time=np.full(np.shape(mean), 0.5))
