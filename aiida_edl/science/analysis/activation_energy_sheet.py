"""Activation energies of Li in LiF beside those of the study that fine-tuned MACE-MPA-0 for it.

Of that study the temperatures, the supercell, the kind and number of defects, the ensemble and the lengths of the runs
are not known, nor are errors of its values. A difference is therefore no verdict on either side; what is compared is
whether ours lies within a margin that is stated. "300 data points" is most likely 200 new frames and 100 replayed ones,
as its data record counts them.

A value agrees if the interval of the difference at 95 % lies within the margin, differs if it lies outside, and is
undecided otherwise. The interval is that of Student's t, two-sided, with the degrees of freedom of the error: two seeds
reach 12.7 standard errors, three 4.3. To ask that this interval be within the margin is stricter than two one-sided
tests at 5 % each (D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987)), which are its inclusion at 90 %; it is
two one-sided tests at 2.5 %.

Which models are made alike is told by their strategy, start, architecture and numbers of frames, never by the name of a
family. The data set of the Deep Potential is unlike ours in size: of those trained from scratch the one with the most
frames stands beside it. Any foundation model as it is stands beside MACE-MPA-0; the row says which one it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from aiida_edl.science.analysis.fine_tuning_table import CurvePoint

MARGIN = 0.05
"""Difference of activation energies that counts as none [eV]; chosen here, a little more than the spread of the three
values of that study."""
CONFIDENCE = 0.95
"""Of the two-sided interval of a difference."""
DEEP_POTENTIAL = 'deep_potential'
"""Entry-point name of the architecture."""
QUANTITY = 'activation_energy_ev'
NEW_FRAMES, REPLAYED_FRAMES = 200, 100
"""Frames of the fine-tuned model, as the data record counts them."""


@dataclass(frozen=True)
class PublishedEnergy:
    """One activation energy of that study."""

    model: str
    """Its model, in words."""
    value: float
    """[eV]"""
    is_ours: Callable[[CurvePoint], bool]
    """Whether models of a point were made alike."""
    is_largest_alone: bool = False
    """Whether of these only the point with the most frames counts, of each system."""


PUBLISHED = (
    PublishedEnergy('MACE-MPA-0 as it is', 0.22, lambda point: point.strategy == 'zero_shot'),
    PublishedEnergy(
        'MACE-MPA-0 fine-tuned on "300 data points"',
        0.20,
        lambda point: (point.n_frames, point.n_replay) == (NEW_FRAMES, REPLAYED_FRAMES),
    ),
    PublishedEnergy(
        'Deep Potential on more than 40,000 frames',
        0.24,
        lambda point: (point.start, point.architecture) == ('scratch', DEEP_POTENTIAL),
        is_largest_alone=True,
    ),
)
"""Values as given in its abstract."""


@dataclass(frozen=True)
class SheetRow:
    """A published activation energy beside one of ours."""

    published_model: str
    """Its model, in words."""
    published_ev: float
    """Its value [eV]."""
    family: str
    """Family of ours that was made alike; empty if there is none."""
    start: str
    """Label of its foundation model, or ``scratch``."""
    architecture: str
    """Entry-point name of its architecture."""
    system: str
    n_frames: int
    n_replay: int
    ours_ev: float | None
    """Mean over seeds [eV]."""
    ours_error_ev: float | None
    """Its standard error [eV]."""
    degrees_of_freedom: int | None
    """Of the standard error; None is taken as large."""
    half_width_ev: float | None
    """Half of the width of the interval of the difference at 95 % [eV]; None without an error."""
    margin_ev: float
    """Difference that counts as none [eV]."""
    verdict: str
    """``agrees``, ``differs``, ``undecided``, ``no value`` or ``not in this study``."""


def activation_energy_sheet(points: Iterable[CurvePoint], margin: float = MARGIN) -> list[dict[str, Any]]:
    """Return a row for each published value and each point of ours that was made alike, as JSON types.

    :param points: points of learning curves.
    :param margin: difference that counts as none [eV].
    """
    ours = [point for point in points if point.quantity == QUANTITY]
    rows = []
    for published in PUBLISHED:
        alike = _alike(published, ours)
        rows += [_row(published, point, margin) for point in alike] or [_empty_row(published, margin)]
    return [dataclasses.asdict(row) for row in rows]


def _alike(published: PublishedEnergy, ours: Sequence[CurvePoint]) -> list[CurvePoint]:
    """Return the points whose models were made like the published one."""
    alike = [point for point in ours if published.is_ours(point)]
    if not published.is_largest_alone:
        return alike
    largest: dict[str, int] = {}
    for point in alike:
        largest[point.system] = max(point.n_frames, largest.get(point.system, 0))
    return [point for point in alike if point.n_frames == largest[point.system]]


def _empty_row(published: PublishedEnergy, margin: float) -> SheetRow:
    """Return the row of a value beside which no model of ours stands."""
    return SheetRow(
        published_model=published.model,
        published_ev=published.value,
        family='',
        start='',
        architecture='',
        system='',
        n_frames=0,
        n_replay=0,
        ours_ev=None,
        ours_error_ev=None,
        degrees_of_freedom=None,
        half_width_ev=None,
        margin_ev=margin,
        verdict='not in this study',
    )


def _row(published: PublishedEnergy, point: CurvePoint, margin: float) -> SheetRow:
    half_width = None if point.error is None else half_width_of(point.error, point.degrees_of_freedom)
    return SheetRow(
        published_model=published.model,
        published_ev=published.value,
        family=point.family,
        start=point.start,
        architecture=point.architecture,
        system=point.system,
        n_frames=point.n_frames,
        n_replay=point.n_replay,
        ours_ev=point.mean,
        ours_error_ev=point.error,
        degrees_of_freedom=point.degrees_of_freedom,
        half_width_ev=half_width,
        margin_ev=margin,
        verdict=verdict_of(published.value, point.mean, half_width, margin),
    )


def half_width_of(error: float, degrees_of_freedom: int | None) -> float:
    """Return half of the width of the two-sided interval at 95 %, in the unit of the error.

    >>> [round(half_width_of(1.0, degrees), 2) for degrees in (1, 2, None)]
    [12.71, 4.3, 1.96]

    :param error: standard error.
    :param degrees_of_freedom: of the error; None for a number taken as large.
    """
    upper = 0.5 + CONFIDENCE / 2.0
    quantile = stats.norm.ppf(upper) if degrees_of_freedom is None else stats.t.ppf(upper, degrees_of_freedom)
    return float(quantile) * error


def verdict_of(published: float, ours: float | None, half_width: float | None, margin: float) -> str:
    """Return whether a value of ours agrees with a published one.

    >>> verdict_of(0.22, 0.23, 0.02, 0.05), verdict_of(0.22, 0.40, 0.04, 0.05), verdict_of(0.22, 0.25, 0.06, 0.05)
    ('agrees', 'differs', 'undecided')

    :param published: [eV]
    :param ours: [eV], None if there is none.
    :param half_width: of its interval [eV], None if its error is not known.
    :param margin: difference that counts as none [eV].
    """
    if ours is None:
        return 'no value'
    if half_width is None:
        return 'undecided'
    difference = abs(ours - published)
    if difference + half_width <= margin:
        return 'agrees'
    return 'differs' if difference - half_width > margin else 'undecided'
