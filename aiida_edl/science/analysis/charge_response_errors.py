"""How well a model knows what a charge of the metal does: its charge response against that of the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from aiida_edl.science.analysis.charge_response import ChargeResponse, ChargeResponseSettings, charge_response
from aiida_edl.science.frames import Floats, FrameSet
from aiida_edl.science.uncertainty import MINIMUM_SAMPLES, mean_with_error

POTENTIAL, EFFECTIVE_CHARGE = 'electrode_potential', 'effective_charge'
"""What a row is about."""
UNITS = {POTENTIAL: 'V', EFFECTIVE_CHARGE: 'e'}
"""Units of its numbers."""
ALL = 'all'
"""Name of the row of all atoms."""
N_RESAMPLES = 500
"""Bootstrap resamples of the geometries."""
NO_VALUE = float('nan')


@dataclass(frozen=True)
class ResponseRow:
    """Means of one quantity, and the errors of a model; NaN without a model, or where nothing is known of an error.

    Errors of means account for the correlation of successive geometries; those of root mean square errors are standard
    deviations over resamples of the geometries.
    """

    quantity: str
    """``'electrode_potential'`` or ``'effective_charge'``."""
    element: str
    """Chemical symbol; ``'all'`` for all atoms, and for the potential."""
    unit: str
    """Unit of all numbers that follow, V or e."""
    reference_mean: float
    reference_mean_error: float
    reference_scale: float
    """What an error is large or small against. Of charges the root mean square of the reference, the error of a model
    that knows no charge. Of the potential its standard deviation over geometries, NaN for one: the potential itself
    holds a constant that grows with the vacuum, as the position of the counter charge does."""
    model_mean: float
    model_mean_error: float
    rmse: float
    """Root mean square error of the model."""
    rmse_error: float
    signed_error: float
    """Mean of model less reference."""
    signed_error_error: float
    n_values: int
    """Potentials, or atoms in geometries."""
    n_geometries: int

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON types; NaN becomes None."""
        values = dataclasses.asdict(self)
        return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in values.items()}


def compared_responses(
    frames: FrameSet, energies: Floats, forces: Floats, settings: ChargeResponseSettings | None = None
) -> tuple[ChargeResponse, ChargeResponse]:
    """Return the responses of reference and model, both from the frames for which both have labels.

    :param frames: stencils with the labels of the reference.
    :param energies: predicted energies [eV], shape ``(n_frames,)``; not finite where a prediction failed.
    :param forces: predicted forces [eV/Å], shape ``(n_atoms_total, 3)``.
    :param settings: how derivatives are taken; None for the defaults.
    :raises ValueError: if the predictions are not of these frames.
    """
    if energies.shape != (len(frames),) or forces.shape != frames.positions.shape:
        raise ValueError(
            f'predictions of {len(energies)} frames and {len(forces)} atoms do not fit the {len(frames)} frames and '
            f'{len(frames.numbers)} atoms they are for: they belong to another data set'
        )
    finite = np.isfinite(energies) & np.isfinite(np.add.reduceat(forces.sum(axis=1), frames.offsets[:-1]))
    known = frames if frames.energies is None else replace(frames, energies=np.where(finite, frames.energies, np.nan))
    reference = charge_response(known, settings)
    left_out = np.zeros(len(frames)) if known.energies is None else np.where(np.isfinite(known.energies), 0.0, np.nan)
    predicted = replace(frames, energies=energies + left_out, forces=np.nan_to_num(forces))
    return reference, charge_response(predicted, settings)


def response_rows(reference: ChargeResponse, model: ChargeResponse | None = None) -> list[ResponseRow]:
    """Return means and errors: the electrode potential, and the effective charge of all atoms and of each element.

    :param reference: response of the labels.
    :param model: response of a model for the same geometries, in the same order.
    :raises ValueError: if the geometries differ.
    """
    if model is not None and not np.array_equal(reference.frame_indices, model.frame_indices):
        raise ValueError(
            f'the reference has {len(reference)} geometries, the model {len(model)} or others; compare the same'
        )
    owners = np.repeat(np.arange(len(reference)), np.diff(reference.offsets))
    of_potential = np.arange(len(reference))
    rows = [_row((POTENTIAL, ALL), of_potential, reference, model, lambda item: item.potentials)]
    for element in (None, *np.unique(reference.numbers).tolist()):
        chosen = np.ones(len(owners), dtype=bool) if element is None else reference.numbers == element
        names = (EFFECTIVE_CHARGE, ALL if element is None else chemical_symbols[element])

        def values(item: ChargeResponse, atoms: NDArray[np.bool_] = chosen) -> Floats:
            return item.effective_charges[atoms]

        rows.append(_row(names, owners[chosen], reference, model, values))
    return rows


def _row(
    names: tuple[str, str],
    owners: NDArray[np.int64],
    reference: ChargeResponse,
    model: ChargeResponse | None,
    values_of: Callable[[ChargeResponse], Floats],
) -> ResponseRow:
    """Return the row of one quantity.

    :param names: quantity and element.
    :param owners: geometry of each value, shape ``(n_values,)``.
    """
    true = values_of(reference)
    mean, mean_error = _mean(true, owners)
    row = ResponseRow(
        quantity=names[0],
        element=names[1],
        unit=UNITS[names[0]],
        reference_mean=mean,
        reference_mean_error=mean_error,
        reference_scale=_scale(names[0], true),
        model_mean=NO_VALUE,
        model_mean_error=NO_VALUE,
        rmse=NO_VALUE,
        rmse_error=NO_VALUE,
        signed_error=NO_VALUE,
        signed_error_error=NO_VALUE,
        n_values=len(true),
        n_geometries=len(np.unique(owners)),
    )
    if model is None:
        return row
    given = values_of(model)
    model_mean, model_mean_error = _mean(given, owners)
    signed, signed_error = _mean(given - true, owners)
    return replace(
        row,
        model_mean=model_mean,
        model_mean_error=model_mean_error,
        rmse=float(np.sqrt(np.mean((given - true) ** 2))),
        rmse_error=_resampled_rms(given - true, owners),
        signed_error=signed,
        signed_error_error=signed_error,
    )


def _scale(quantity: str, true: Floats) -> float:
    """Return what errors of a quantity are large or small against."""
    if quantity == EFFECTIVE_CHARGE:
        return float(np.sqrt(np.mean(true**2)))
    return float(true.std(ddof=1)) if len(true) > 1 else NO_VALUE


def _per_geometry(values: Floats, owners: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return sum and number of the values of each geometry that has any."""
    present, compact = np.unique(owners, return_inverse=True)
    sums = np.asarray(np.bincount(compact, weights=values, minlength=len(present)), dtype=np.float64)
    return sums, np.bincount(compact, minlength=len(present)).astype(np.float64)


def _mean(values: Floats, owners: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean and its standard error; the error is NaN for fewer than four geometries."""
    sums, counts = _per_geometry(values, owners)
    mean = float(sums.sum() / counts.sum())
    if len(sums) < MINIMUM_SAMPLES:
        return mean, NO_VALUE
    # The mean of a ratio: residuals of the sums, so that geometries with more atoms weigh more.
    residuals = (sums - mean * counts) / counts.mean()
    return mean, float(mean_with_error(residuals).error)


def _resampled_rms(errors: Floats, owners: NDArray[np.int64]) -> float:
    """Return the standard deviation of the root mean square over resampled geometries; NaN for a single one."""
    squares, counts = _per_geometry(errors**2, owners)
    if len(squares) < 2:
        return NO_VALUE
    draws = np.random.default_rng(0).integers(len(squares), size=(N_RESAMPLES, len(squares)))
    return float(np.std(np.sqrt(squares[draws].sum(axis=1) / counts[draws].sum(axis=1))))
