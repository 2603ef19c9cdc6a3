"""Activation energies of Li in LiF beside those of the study that fine-tuned MACE-MPA-0 for it.

Of that study the temperatures, the supercell, the kind and number of defects, the ensemble and the lengths of the runs
are not known, nor are errors of its values. A difference is therefore no verdict on either side; what is compared is
whether ours lies within a margin that is stated. "300 data points" is most likely 200 new frames and 100 replayed ones,
as its data record counts them.

A value agrees if the interval of the difference lies within the margin, differs if it lies outside, and is undecided
otherwise: the test of equivalence of D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiida_edl.science.analysis.fine_tuning_table import CurvePoint

MARGIN = 0.05
"""Difference of activation energies that counts as none [eV]; chosen here, a little more than the spread of the three
values of that study."""
ERRORS_IN_INTERVAL = 2.0
"""Standard errors on each side of a difference."""
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
        lambda point: point.start == 'scratch' and point.family.startswith('scratch_deep_potential'),
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
    system: str
    n_frames: int
    n_replay: int
    ours_ev: float | None
    """Mean over seeds [eV]."""
    ours_error_ev: float | None
    """Its standard error [eV]."""
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
        alike = [point for point in ours if published.is_ours(point)]
        if not alike:
            empty = (published.model, published.value, '', '', 0, 0, None, None, margin, 'not in this study')
            rows.append(SheetRow(*empty))
        rows += [_row(published, point, margin) for point in alike]
    return [dataclasses.asdict(row) for row in rows]


def _row(published: PublishedEnergy, point: CurvePoint, margin: float) -> SheetRow:
    return SheetRow(
        published_model=published.model,
        published_ev=published.value,
        family=point.family,
        system=point.system,
        n_frames=point.n_frames,
        n_replay=point.n_replay,
        ours_ev=point.mean,
        ours_error_ev=point.error,
        margin_ev=margin,
        verdict=verdict_of(published.value, point.mean, point.error, margin),
    )


def verdict_of(published: float, ours: float | None, error: float | None, margin: float) -> str:
    """Return whether a value of ours agrees with a published one.

    >>> verdict_of(0.22, 0.23, 0.01, 0.05), verdict_of(0.22, 0.40, 0.02, 0.05), verdict_of(0.22, 0.25, 0.03, 0.05)
    ('agrees', 'differs', 'undecided')

    :param published: [eV]
    :param ours: [eV], None if there is none.
    :param error: its standard error [eV], None if it is not known.
    :param margin: difference that counts as none [eV].
    """
    if ours is None:
        return 'no value'
    if error is None:
        return 'undecided'
    difference, half_width = abs(ours - published), ERRORS_IN_INTERVAL * error
    if difference + half_width <= margin:
        return 'agrees'
    return 'differs' if difference - half_width > margin else 'undecided'
