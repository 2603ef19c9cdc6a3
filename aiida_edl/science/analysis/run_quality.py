r"""Whether a run of molecular dynamics stayed physical, and until when.

**The rule of exclusion.** A run is physical, and counts in averages, if none of these holds. Each limit is a setting.

*Events*, the first of which ends the survival of the run:

- ``not_finite``: a position, velocity, force or energy is not a finite number;
- ``hot``: the instantaneous temperature exceeds ``hot_factor`` times the target;
- ``force``: a stored force exceeds ``maximum_force``;
- ``contact``: two atoms are closer than ``contact_fraction`` of the sum of their covalent radii;
- ``broken_water``: the share of oxygen without exactly two hydrogens within ``maximum_bond_length`` exceeds
  ``maximum_irregular_fraction``;
- ``evaporated``: more than ``maximum_evaporated_atoms`` lie beyond an empty slice of ``evaporation_gap`` along the
  normal that was not there in the first frame;
- ``exploded``: the program itself ended the run for that reason (setting ``outcome``); it survived to its last frame.

*Findings* on the run as a whole, without the first ``equilibration_fraction`` of what is left before an event:

- ``temperature``: the mean deviates from the target by more than ``temperature_tolerance`` and by more than
  ``significance`` standard errors; atoms that never move are left out;
- ``energy_drift``: the conserved energy, or the total energy without a thermostat, drifts by more than
  ``maximum_energy_drift``, and by more than ``significance`` standard errors;
- ``slab_drift``: the metal's centre of mass is displaced by more than ``maximum_slab_drift``.

A run without an event has outlived its length: its survival time is censored. What cannot be judged, for want of a
target, a series, or samples, is listed in ``not_judged`` and excludes nothing. Reported, and excluding nothing, are
tests of the distribution of temperature and velocities, which long runs fail by the error of any integrator; a
temperature of one element that deviates as above (``remarks``), for stiff bonds take up their share slowly, so that
the rest is too hot for many picoseconds under a thermostat that holds the sum; and distances that the training set
does not know, which say where a model is asked to extrapolate, not that it fails. Criteria after X. Fu et al., Trans.
Mach. Learn. Res. (2023), arXiv 2210.07237, section 3, and the limits of the engines' own monitors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from aiida_edl.science.analysis.atom_groups import Integers
from aiida_edl.science.analysis.result_parts import StoredResult
from aiida_edl.science.analysis.run_findings import judge_run
from aiida_edl.science.analysis.run_quality_settings import RunQualitySettings
from aiida_edl.science.frames import Floats, FrameSet

__all__ = ['RunQuality', 'RunQualitySettings', 'run_quality']


@dataclass(frozen=True)
class RunQuality(StoredResult):
    """How one run fared; NaN where something could not be judged, see ``not_judged``."""

    stored_subject: ClassVar[str] = 'the quality of a run needs'
    settings_type: ClassVar[type[RunQualitySettings]] = RunQualitySettings

    is_physical: bool
    """Whether the rule of exclusion keeps the run."""
    survival_time: float
    """Time of the first frame that is not physics, or of the last frame of a run without one [fs]."""
    is_censored: bool
    """Whether the run outlived its length, so that the survival time is a lower bound."""
    reasons: tuple[Mapping[str, Any], ...]
    """What excludes the run, events first: ``name``, ``value``, ``limit``, ``unit``, ``time`` [fs] (of events, else
    None) and the ``sentence``."""
    not_judged: tuple[str, ...]
    """What could not be judged and why, one sentence each."""
    remarks: tuple[str, ...]
    """What a reader should know although it excludes nothing, one sentence each."""
    n_frames: int
    """Frames of the run."""
    n_physical_frames: int
    """Frames before the first event."""
    duration: float
    """Time of the last frame [fs]."""
    temperature: float
    """Mean temperature of the atoms that move [K]."""
    temperature_error: float
    temperature_variance_ratio: float
    """Variance of the temperature over that of a canonical run, 2T²/f."""
    temperature_variance_ratio_error: float
    temperature_statistic: float
    """Kolmogorov-Smirnov distance of 2K/(k_B T) to the chi-square distribution."""
    temperature_p_value: float
    """Chance of a larger distance if the run is canonical at the target."""
    degrees_of_freedom: int
    """Degrees of freedom of the atoms that move; 0 if not known."""
    is_canonical: bool | None
    """Whether the smallest p-value, times their number, reaches ``significance_level``; None if none is known."""
    element_numbers: Integers
    """Atomic numbers of the elements with velocities, shape ``(n_elements,)``."""
    element_temperature: Floats
    """Temperature of the atoms of each element that move [K], shape ``(n_elements,)``."""
    element_temperature_error: Floats
    element_kurtosis: Floats
    """Fourth moment of the velocities over three times the squared second: 1 if normal, shape ``(n_elements,)``."""
    element_kurtosis_error: Floats
    element_p_value: Floats
    """p-value of the Kolmogorov-Smirnov test of the velocities of each element, shape ``(n_elements,)``."""
    energy_drift: float
    """Drift of the conserved energy [meV/(atom ps)]."""
    energy_drift_error: float
    energy_fluctuation: float
    """Deviation of the conserved energy from its line [meV/atom]."""
    centre_of_mass_drift: float
    """Largest displacement of the centre of mass from its start [Å]."""
    slab_drift: float
    """Largest displacement of the metal from its start [Å]."""
    irregular_fraction: Floats
    """Share of oxygen without exactly two bound hydrogens, shape ``(n_finite_frames,)``; empty without water."""
    pair_numbers: Integers
    """Atomic numbers of the pairs of elements, shape ``(n_pairs, 2)``."""
    pair_smallest: Floats
    """Smallest distance of each pair while physical [Å], shape ``(n_pairs,)``; NaN if beyond ``pair_range``."""
    pair_training: Floats
    """The same in the training set [Å], shape ``(n_pairs,)``; NaN without one."""
    pair_outside_fraction: Floats
    """Share of physical frames closer than that, shape ``(n_pairs,)``; NaN without a training set."""
    outside_fraction: float
    """Share of physical frames in which any pair is; NaN without a training set."""
    settings: RunQualitySettings
    """What the run was judged with."""


def run_quality(
    frames: FrameSet,
    settings: RunQualitySettings | None = None,
    series: Mapping[str, NDArray[Any]] | None = None,
    training: FrameSet | None = None,
) -> RunQuality:
    """Judge one run by the rule of exclusion, which stands at the head of this module.

    :param frames: frames of one run, of one composition, with the column ``time`` [fs].
    :param settings: what was run, and the limits; None for the defaults.
    :param series: thermodynamic series of the run: ``time`` [fs], ``temperature`` [K], ``kinetic_energy``,
        ``potential_energy`` and ``conserved_energy`` [eV]; without it the temperature comes from velocities, if stored.
    :param training: frames the model was trained on.
    :raises NotAnalysableError: without the column ``time``, or if compositions differ or several runs lie end to end.
    """
    settings = settings or RunQualitySettings()
    return RunQuality(settings=settings, **judge_run(frames, settings, series, training))
