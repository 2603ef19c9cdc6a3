"""Spread of models against noise, with synthetic profiles of known spread."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles, interface_profiles
from aiida_edl.science.analysis.model_spread import ModelSpread, SpreadSettings, model_spread
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.profile_settings import ProfileSettings

from . import synthetic

N_COARSE = 30
NOISE = 0.02


@pytest.fixture(scope='module')
def template() -> InterfaceProfiles:
    return interface_profiles(synthetic.film(8, seed=1, columns={'time': np.arange(8) * 10.0}))


@pytest.fixture
def make_profiles(template):
    """Return a factory of profiles with given coarse ⟨cos θ⟩ and ion density."""

    def make(cosine: np.ndarray, error: float = NOISE, ions: np.ndarray | float = 0.001) -> InterfaceProfiles:
        return dataclasses.replace(
            template,
            coarse_mean_cosine=cosine,
            coarse_mean_cosine_error=np.where(np.isnan(cosine), np.nan, error),
            coarse_ion_number_density=np.broadcast_to(ions, cosine.shape).astype(float),
            coarse_ion_number_density_error=np.full(cosine.shape, 1e-5),
        )

    return make


@pytest.fixture
def make_models(make_profiles):
    """Return a factory of a matrix of models whose ⟨cos θ⟩ differ by a known true spread and by noise."""

    def make(spreads: dict[str, float], n_models: int, seed: int = 0, noise: float = NOISE) -> list[ModelProfile]:
        random = np.random.default_rng(seed)
        models = []
        for training_set, spread in spreads.items():
            for number in range(n_models):
                cosine = 0.3 + spread * random.normal(size=N_COARSE) + noise * random.normal(size=N_COARSE)
                tag = ModelTag(training_set, ('mace', 'deep_potential')[number % 2], number // 2, '2Na')
                models.append(ModelProfile(tag, make_profiles(cosine, noise)))
        reference = ModelTag('reference', 'reference', 1, '2Na', is_reference=True)
        return [*models, ModelProfile(reference, make_profiles(np.full(N_COARSE, 0.3), noise / 10))]

    return make


def group(spread: ModelSpread, training_set: str, observable: str = 'mean_cosine', architecture: str = 'all'):
    """The one group with these names."""
    names = (training_set, observable, architecture)
    return next(g for g in spread.groups if (g.training_set, g.observable, g.architecture) == names)


def comparison(spread: ModelSpread, observable: str = 'mean_cosine'):
    """The comparison over all architectures."""
    return next(c for c in spread.comparisons if (c.observable, c.architecture) == (observable, 'all'))


def test_spread_of_known_profiles_is_exact(make_profiles):
    values = [0.1, 0.3, 0.8]
    models = [
        ModelProfile(ModelTag('mixed', 'mace', seed, '0'), make_profiles(np.full(N_COARSE, value)))
        for seed, value in enumerate(values)
    ]
    found = group(model_spread(models), 'mixed')
    expected = np.std(values, ddof=1)
    assert found.spread == pytest.approx(np.full(20, expected), rel=1e-12)
    assert found.integrated_spread == pytest.approx(10.0 * expected, rel=1e-12)
    assert found.excess_variance == pytest.approx(expected**2 - NOISE**2, rel=1e-12)
    # c4(3) = sqrt(pi)/2
    assert found.integrated_noise == pytest.approx(10.0 * NOISE * np.sqrt(np.pi) / 2, rel=1e-12)
    assert (found.n_models, found.n_bins, found.n_masked_bins) == (3, 20, 0)


def test_only_bins_within_the_depth_are_compared(make_profiles):
    cosines = [np.where(np.arange(N_COARSE) < 20, 0.3, value) for value in (-1.0, 1.0)]
    models = [ModelProfile(ModelTag('mixed', 'mace', seed, '0'), make_profiles(c)) for seed, c in enumerate(cosines)]
    spread = model_spread(models)
    assert group(spread, 'mixed').spread_rms == 0.0
    assert spread.z[-1] == pytest.approx(9.75)
    assert group(model_spread(models, SpreadSettings(depth=15.0)), 'mixed').spread_rms > 0.5


def test_bins_without_water_are_masked_and_counted(make_models, make_profiles):
    models = make_models({'mixed': 0.1, 'single_2': 0.1}, 4)
    cosine = models[0].profiles.coarse_mean_cosine.copy()
    cosine[:4] = np.nan
    models[0] = ModelProfile(models[0].tag, make_profiles(cosine))
    for training_set in ('mixed', 'single_2'):
        found = group(model_spread(models), training_set)
        assert (found.n_bins, found.n_masked_bins) == (16, 4)
        assert np.isnan(found.spread[:4]).all()


def test_bins_without_any_ion_are_masked(make_models):
    models = make_models({'mixed': 0.1, 'single_2': 0.1}, 2)
    empty = np.where(np.arange(N_COARSE) < 5, 0.0, 0.001)
    models = [ModelProfile(m.tag, dataclasses.replace(m.profiles, coarse_ion_number_density=empty)) for m in models]
    assert group(model_spread(models), 'mixed', 'ion_number_density').n_masked_bins == 5


def test_bins_that_one_run_never_visits_count_neither_in_spread_nor_in_noise(make_models):
    models = make_models({'mixed': 0.1, 'single_2': 0.1}, 2)
    is_visited = np.arange(N_COARSE) >= 5
    silent = dataclasses.replace(
        models[0].profiles,
        coarse_ion_number_density=np.where(is_visited, 0.001, 0.0),
        coarse_ion_number_density_error=np.where(is_visited, 1e-5, np.nan),
    )
    found = group(model_spread([ModelProfile(models[0].tag, silent), *models[1:]]), 'mixed', 'ion_number_density')
    assert found.n_masked_bins == 5
    assert np.isnan([found.spread[:5], found.noise[:5]]).all()
    assert found.noise_rms == pytest.approx(1e-5, rel=1e-12)


def test_noise_alone_is_the_noise_floor(make_models):
    excess, integrated, floor = [], [], []
    for seed in range(30):
        found = group(model_spread(make_models({'mixed': 0.0}, 4, seed), SpreadSettings(n_resamples=10)), 'mixed')
        excess.append(found.excess_variance)
        integrated.append(found.integrated_spread)
        floor.append(found.integrated_noise)
    # 30 sets of 20 bins of 3 degrees of freedom: variance known to sqrt(2/1800) = 3.3 %, four of these.
    assert abs(np.mean(excess)) < 0.13 * NOISE**2
    assert np.mean(integrated) == pytest.approx(np.mean(floor), rel=0.07)


def test_true_spread_is_found_beneath_the_noise(make_models):
    settings = SpreadSettings(n_resamples=10)
    excess = [
        group(model_spread(make_models({'mixed': 0.05}, 4, seed, noise=0.05), settings), 'mixed').excess_variance
        for seed in range(30)
    ]
    # As above: total variance 0.005 known to 3.3 %, so the excess of 0.0025 to 6.6 %; three of these.
    assert np.mean(excess) == pytest.approx(0.05**2, rel=0.2)


def test_longer_md_lowers_the_noise_but_not_the_excess(make_models):
    short = group(model_spread(make_models({'mixed': 0.2}, 8, noise=0.04)), 'mixed')
    long = group(model_spread(make_models({'mixed': 0.2}, 8, noise=0.02)), 'mixed')
    assert long.noise_rms == pytest.approx(0.5 * short.noise_rms, rel=1e-12)
    # The same draws, of which the noise is 4 % in variance.
    assert long.excess_variance == pytest.approx(short.excess_variance, rel=0.1)


def test_interval_leaves_out_zero_where_mixed_models_spread_more(make_models):
    found = comparison(model_spread(make_models({'mixed': 0.3, 'single_2': 0.03}, 6)))
    assert 0 < found.difference_low < found.difference < found.difference_high


def test_interval_holds_zero_where_there_is_no_difference(make_models):
    settings = SpreadSettings(n_resamples=400)
    wrong = 0
    for seed in range(60):
        found = comparison(model_spread(make_models({'mixed': 0.1, 'single_2': 0.1}, 6, seed), settings))
        wrong += not found.difference_low <= 0 <= found.difference_high
    # 5 % of 60 are 3; more than 8 occur by chance in 0.5 % of cases.
    assert wrong <= 8


def test_deviation_from_the_reference_and_its_noise(make_profiles):
    reference = ModelProfile(ModelTag('reference', 'reference', 1, '0', True), make_profiles(np.full(N_COARSE, 0.3)))
    model = ModelProfile(ModelTag('mixed', 'mace', 1, '0'), make_profiles(np.full(N_COARSE, 0.4)))
    found = next(d for d in model_spread([model, reference]).deviations if d.observable == 'mean_cosine')
    assert found.deviation_rms == pytest.approx(0.1, rel=1e-12)
    assert found.noise_rms == pytest.approx(np.sqrt(2) * NOISE, rel=1e-12)


def test_replicas_of_the_reference_are_averaged(make_profiles):
    references = [
        ModelProfile(ModelTag('reference', 'reference', seed, '0', True), make_profiles(np.full(N_COARSE, value)))
        for seed, value in ((1, 0.2), (2, 0.4))
    ]
    model = ModelProfile(ModelTag('mixed', 'mace', 1, '0'), make_profiles(np.full(N_COARSE, 0.3)))
    found = next(d for d in model_spread([model, *references]).deviations if d.observable == 'mean_cosine')
    assert found.deviation_rms == pytest.approx(0.0, abs=1e-12)
    # Their scatter, 0.1 as standard error of two values, exceeds their own errors.
    assert found.noise_rms == pytest.approx(np.sqrt(0.1**2 + NOISE**2), rel=1e-9)


def test_architectures_are_also_compared_alone(make_models):
    spread = model_spread(make_models({'mixed': 0.3, 'single_2': 0.03}, 6))
    assert {g.architecture for g in spread.groups} == {'all', 'mace', 'deep_potential'}
    assert group(spread, 'mixed', architecture='mace').n_models == 3


def test_one_model_has_no_spread(make_models):
    found = group(model_spread(make_models({'mixed': 0.3}, 1)), 'mixed')
    assert np.isnan(found.spread).all()
    assert np.isnan(found.excess_variance)
    assert np.isfinite(found.deviation_rms)


def test_same_seed_gives_the_same_interval(make_models):
    models = make_models({'mixed': 0.3, 'single_2': 0.03}, 4)
    assert comparison(model_spread(models)).difference_low == comparison(model_spread(models)).difference_low


def test_order_of_the_models_does_not_change_the_numbers(make_models):
    models = make_models({'mixed': 0.3, 'single_2': 0.03}, 4)
    first, second = (comparison(model_spread(items)) for items in (models, models[::-1]))
    assert first.difference == pytest.approx(second.difference, rel=1e-12)


def test_profiles_of_different_settings_are_refused(make_models):
    models = make_models({'mixed': 0.3}, 2)
    other = dataclasses.replace(models[1].profiles, settings=ProfileSettings(surfaces='lower'))
    models[1] = ModelProfile(models[1].tag, other)
    message = r"^profiles of ModelTag\(.*\) and ModelTag\(.*\) differ in \['surfaces'\]; make them with the same$"
    with pytest.raises(ValueError, match=message):
        model_spread(models)


def test_references_alone_are_refused(make_models):
    message = '^the spread of models needs profiles of models, given were 1 of the reference$'
    with pytest.raises(ValueError, match=message):
        model_spread(make_models({}, 0))


def test_runs_that_left_physics_do_not_count(make_models):
    models = make_models({'mixed': 0.1, 'single_2': 0.1}, 4)
    wild = np.full(N_COARSE, 40.0)
    exploded = ModelProfile(
        ModelTag('mixed', 'mace', 9, '2Na'),
        dataclasses.replace(models[0].profiles, coarse_mean_cosine=wild),
        why_excluded='the temperature drifts by 900 K',
    )
    without, found = model_spread(models), model_spread([*models, exploded])
    assert found.groups[0].integrated_spread == without.groups[0].integrated_spread
    assert found.excluded == (exploded,)


def test_if_every_run_left_physics_nothing_is_compared(make_models):
    models = [dataclasses.replace(item, why_excluded='melted') for item in make_models({'mixed': 0.1}, 2)]
    spread = model_spread(models)
    assert (spread.groups, spread.comparisons, len(spread.excluded)) == ((), (), 3)


def test_sets_of_different_size_and_of_other_charge_states_are_not_compared(make_models):
    names = ('mixed_size_8', 'mixed_size_16', 'single_2_size_8', 'single_0_size_8')
    spread = model_spread(make_models(dict.fromkeys(names, 0.1), 4))
    pairs = {(item.mixed.training_set, item.single.training_set) for item in spread.comparisons}
    assert pairs == {('mixed_size_8', 'single_2_size_8')}


def test_unknown_tag_is_answered_with_the_nearest():
    known = 'architecture, charge_state, is_reference, seed, training_set'
    with pytest.raises(ValueError, match=rf"^unknown tag 'sed': did you mean 'seed'\? Known: {known}\.$"):
        ModelTag.from_dict({'sed': 1})


def test_missing_tags_are_named():
    message = r"^tags \['seed', 'charge_state'\] are missing, given were \['architecture', 'training_set'\]$"
    with pytest.raises(ValueError, match=message):
        ModelTag.from_dict({'training_set': 'mixed', 'architecture': 'mace'})
