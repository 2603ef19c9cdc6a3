"""Error integrals of distributions that are known, and their noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_edl.science.analysis.interface_structure import InterfaceStructure, interface_structure
from aiida_edl.science.analysis.model_tags import ModelTag
from aiida_edl.science.analysis.structure_comparison import (
    ModelStructure,
    distribution_deviations,
    models_without_reference,
    number_deviations,
)
from aiida_edl.science.analysis.structure_settings import StructureSettings

from . import synthetic

REFERENCE = ModelTag('', 'reference', 0, '2Na', is_reference=True)
MODEL = ModelTag('single_2', 'mace', 1, '2Na')


@pytest.fixture(scope='module')
def structure() -> InterfaceStructure:
    return interface_structure(synthetic.film(6, seed=3), StructureSettings(pairs=('O-O', 'Na-O')))


def with_distribution(base: InterfaceStructure, g: np.ndarray, error: float, block_g: np.ndarray) -> InterfaceStructure:
    """The same structure with a distribution made by hand for each pair."""
    blocks = np.repeat(block_g[:, None], 2, axis=1)
    rdf = dataclasses.replace(
        base.rdf,
        g=np.stack([g, g]),
        g_error=np.full((2, len(g)), error),
        block_g=blocks,
        block_frames=np.full(len(blocks), 10),
    )
    return dataclasses.replace(base, rdf=rdf)


def test_integral_of_a_known_difference(structure):
    r = structure.rdf.r
    ours, theirs = np.ones_like(r), np.where(r < 3.0, 0.5, 1.2)
    runs = [
        ModelStructure(MODEL, with_distribution(structure, ours, 0.03, np.stack([ours, ours]))),
        ModelStructure(REFERENCE, with_distribution(structure, theirs, 0.04, np.stack([theirs, theirs]))),
    ]
    first, second = distribution_deviations(runs)
    assert (first.pair, second.pair) == ('O-O', 'Na-O')
    # 0.5 over 3 Å and 0.2 over 3 Å; errors of 0.05 over 6 Å.
    assert first.squared_deviation == pytest.approx(3 * 0.25 + 3 * 0.04 - 6 * 0.0025, rel=1e-9)
    assert first.error_integral == pytest.approx(2.1, rel=1e-9)
    assert first.noise_integral == pytest.approx(np.sqrt(2 / np.pi) * 0.05 * 6.0, rel=1e-9)
    assert first.score == pytest.approx(1 - 2.1 / (6.0 + 1.5 + 3.6), rel=1e-9)
    assert (first.error_integral_error, first.n_masked_bins) == (0.0, 0)


@pytest.mark.parametrize(('error', 'weight'), [(0.0, 1.0), (1.0, 0.520499877813)])
def test_error_of_the_integral_is_that_of_the_blocks(structure, error, weight):
    r = structure.rdf.r
    theirs = np.ones_like(r)
    shift = np.random.default_rng(1).normal(0.0, 0.1, 64)
    shift -= shift.mean()
    # A deviation of the square root of half the squared error: the weight is the error function of one half.
    blocks = 1.0 + np.sqrt(0.5) + np.repeat(shift[:, None], len(r), axis=1)
    runs = [
        ModelStructure(MODEL, with_distribution(structure, blocks.mean(axis=0), error, blocks)),
        ModelStructure(REFERENCE, with_distribution(structure, theirs, 0.0, np.stack([theirs] * 4))),
    ]
    expected = weight * 6.0 * shift.std(ddof=1) / np.sqrt(64)
    assert distribution_deviations(runs)[0].error_integral_error == pytest.approx(expected, rel=1e-9)


def test_two_runs_of_the_same_interface_differ_by_their_noise():
    runs = [
        ModelStructure(tag, interface_structure(synthetic.film(150, seed=seed, n_ions=0)))
        for seed, tag in ((1, MODEL), (2, REFERENCE))
    ]
    for item in distribution_deviations(runs):
        assert item.error_integral == pytest.approx(item.noise_integral, rel=0.35), item.pair


def test_bins_without_independent_pairs_are_masked(structure):
    g = np.ones_like(structure.rdf.r)
    holes = np.where(structure.rdf.r < 1.0, np.nan, 1.5)
    runs = [
        ModelStructure(MODEL, with_distribution(structure, g, 0.0, np.stack([g, g]))),
        ModelStructure(REFERENCE, with_distribution(structure, holes, 0.0, np.stack([holes, holes]))),
    ]
    item = distribution_deviations(runs)[0]
    assert (item.error_integral, item.n_masked_bins) == (pytest.approx(2.5), 20)


def test_references_of_one_charge_state_are_replicas(structure):
    ones = np.ones_like(structure.rdf.r)
    runs = [ModelStructure(MODEL, with_distribution(structure, ones, 0.0, np.stack([ones, ones])))]
    for factor in (0.8, 1.4):
        blocks = np.stack([factor * ones] * 2)
        runs.append(ModelStructure(REFERENCE, with_distribution(structure, factor * ones, 0.0, blocks)))
    assert distribution_deviations(runs)[0].error_integral == pytest.approx(0.1 * 6.0)


def test_numbers_are_compared_with_their_errors(structure):
    other = dataclasses.replace(structure.coverage, per_nm2=structure.coverage.per_nm2 + 1.0, per_nm2_error=0.3)
    base = dataclasses.replace(structure.coverage, per_nm2_error=0.4)
    runs = [
        ModelStructure(MODEL, dataclasses.replace(structure, coverage=other)),
        ModelStructure(REFERENCE, dataclasses.replace(structure, coverage=base)),
    ]
    found = {item.observable: item for item in number_deviations(runs)}
    assert found['coverage_per_nm2'].difference == pytest.approx(1.0)
    assert found['coverage_per_nm2'].difference_error == pytest.approx(0.5)
    assert found['coordination_mean'].difference == 0.0
    assert {'hydrogen_bonds_per_water', 'hydrogen_bonds_donated_0_4', 'hydrogen_bonds_accepted_7_10'} < set(found)


def test_models_without_reference_are_named(structure):
    tag = dataclasses.replace(MODEL, charge_state='4Na')
    runs = [ModelStructure(item, structure) for item in (MODEL, tag, REFERENCE)]
    assert models_without_reference(runs) == [tag]
    assert {item.tag for item in distribution_deviations(runs)} == {MODEL}


def test_references_alone_are_refused(structure):
    with pytest.raises(ValueError, match=r'^a comparison needs structures of models, given were 1 of the reference$'):
        distribution_deviations([ModelStructure(REFERENCE, structure)])


def test_other_settings_are_refused(structure):
    other = dataclasses.replace(structure, settings=StructureSettings(pairs=('O-O', 'Na-O'), ion_bounds=(3.0, 6.0)))
    with pytest.raises(ValueError, match=r"differ in \['ion_bounds'\]; make them with the same$"):
        distribution_deviations([ModelStructure(MODEL, structure), ModelStructure(REFERENCE, other)])


def test_other_ranges_are_refused(structure):
    rdf = dataclasses.replace(structure.rdf, r=structure.rdf.r[:-4])
    runs = [ModelStructure(MODEL, structure), ModelStructure(REFERENCE, dataclasses.replace(structure, rdf=rdf))]
    message = r"end at 5.975 Å, those of the reference at 5.775 Å; give both the setting 'rdf_range'$"
    with pytest.raises(ValueError, match=message):
        distribution_deviations(runs)
