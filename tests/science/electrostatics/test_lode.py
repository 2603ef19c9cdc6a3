"""LODE descriptors: invariants, what lies beyond the cutoff, and the potential of our own sums."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

pytest.importorskip('featomic')
pytest.importorskip('numba')

from aiida_edl.science.electrostatics.charged_system import COULOMB_CONSTANT, ChargedSystem
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.lode import LodeError, LodeSettings, _of_field, lode_descriptors
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import Frame, FrameSet

SIDE = 16.0
NUMBERS = np.array([11, 17, 8, 1, 1, 11], dtype=np.uint8)
SMALL = LodeSettings(max_angular=1, max_radial=1)


def frame_of(positions, numbers=NUMBERS, cell=None, pbc=(True, True, True)):
    return Frame(numbers, positions, np.eye(3) * SIDE if cell is None else cell, np.array(pbc))


def places():
    return np.random.default_rng(2).uniform(0.0, 6.0, (6, 3))


def described(*frames, settings=SMALL, elements=()):
    return lode_descriptors(FrameSet.from_frames(list(frames)), settings, elements)


def test_motions_of_a_frame_change_nothing():
    turn = Rotation.from_rotvec([0.3, -0.5, 0.9]).as_matrix()
    turned = frame_of(places() @ turn.T, cell=np.eye(3) * SIDE @ turn.T)
    values = described(frame_of(places()), frame_of(places() + 3.0), turned).values.reshape(3, 6, -1)
    np.testing.assert_allclose(values[1], values[0], atol=1e-12)
    np.testing.assert_allclose(values[2], values[0], atol=1e-7)


def test_rows_follow_the_atoms():
    order = np.array([3, 0, 5, 1, 4, 2])
    found = described(frame_of(places()), frame_of(places()[order], NUMBERS[order])).values.reshape(2, 6, -1)
    np.testing.assert_allclose(found[1], found[0][order], atol=1e-12)


def test_an_ion_beyond_the_cutoff_is_seen():
    near, far = places(), places()
    near[5], far[5] = [8.0, 8.0, 8.0], [8.0, 8.0, 9.0]
    distance = np.linalg.norm(near[:3] - near[5], axis=1).min()
    settings = LodeSettings(cutoff_radius=min(4.0, distance - 0.5), max_angular=0, max_radial=0)
    changes = np.ptp(
        described(frame_of(near), frame_of(far), settings=settings).values.reshape(2, 6, -1)[:, :3], axis=0
    )
    assert changes.max() > 1e-4


def test_field_is_the_potential_of_our_sum():
    import featomic

    # Far charges have a potential that obeys the mean-value theorem: what an atom sees of it with l = 0 is linear in
    # the potential at its centre, with a constant from the background that neutralises them.
    expansion = featomic.LodeSphericalExpansion(**_of_field(LodeSettings(smearing=0.8, field_radius=2.0)))
    evaluate = CompiledSummation(SummationSettings('ewald', 12.0, 1.5, k_cutoff=6.0, has_background=True))
    seen, potentials = [], []
    for distance in (5.5, 6.0, 6.5, 7.0):
        positions = np.array([[0.0, 0.0, 0.0], [distance, 0.7, 0.3]])
        found = expansion.compute(Atoms('NaCl', positions, cell=np.eye(3) * 14.0, pbc=True))
        seen.append(found.block({'o3_lambda': 0, 'center_type': 11, 'neighbor_type': 17}).values[0, 0, 0])
        charges = ChargedSystem(positions, np.eye(3) * 14.0, np.array([0.0, 1.0]), np.ones(3, dtype=bool))
        potentials.append(evaluate(charges).potentials[0] / COULOMB_CONSTANT)
    line = np.polyfit(potentials, seen, 1)
    # the tail of the radial function reaches the nearest charge
    np.testing.assert_allclose(np.polyval(line, potentials), seen, atol=3e-4 * np.ptp(seen), rtol=0.0)


def test_columns_are_those_of_the_elements_that_are_named():
    elements = ('H', 'O', 'Na', 'Cl', 'Au')
    found = described(frame_of(places()), elements=elements)
    assert found.values.shape == (6, len(found.features))
    assert {feature[0] for feature in found.features} == {feature[1] for feature in found.features} == set(elements)
    gold = [index for index, feature in enumerate(found.features) if 'Au' in feature[:2]]
    assert not found.values[:, gold].any()


def test_a_film_is_refused():
    with pytest.raises(LodeError, match=r'^frame 1 is periodic along \[True, True, False\], LODE sums over images'):
        described(frame_of(places()), frame_of(places(), pbc=(True, True, False)))


def test_an_element_without_columns_is_refused():
    with pytest.raises(LodeError, match=r'^the frames hold Na, Cl, elements are H, O; add them$'):
        described(frame_of(places()), elements=('H', 'O'))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'exponent': 7}, 'exponent is 7, it must be from 1 to 6'),
        ({'smearing': 0.0}, 'smearing is 0.0 Å, it must be positive'),
        ({'max_radial': -1}, 'max_radial is -1, it must not be negative'),
        ({'exponents': 1}, "unknown setting of LODE 'exponents': did you mean 'exponent'"),
    ],
)
def test_settings_that_make_no_descriptors_are_refused(values, message):
    with pytest.raises(LodeError, match=message):
        LodeSettings.from_dict(values)


@pytest.mark.parametrize('elements', ['NaCl', ['Na', 'Xx']])
def test_elements_that_are_no_symbols_are_refused(elements):
    with pytest.raises(LodeError, match='it must be a list of chemical symbols'):
        described(frame_of(places()), elements=elements)


def test_the_extra_is_named_where_the_library_is_missing(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    message = r"^LODE needs featomic, which is not there: pip install 'aiida-edl\[descriptors\]'$"
    with pytest.raises(LodeError, match=message):
        described(frame_of(places()))
