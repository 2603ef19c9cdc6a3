"""Spread of models against noise, with synthetic profiles of known spread."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_edl.science.analysis.interface_profiles import InterfaceProfiles, interface_profiles
from aiida_edl.science.analysis.model_spread import ModelSpread, SpreadSettings, model_spread
from aiida_edl.science.analysis.model_tags import ModelProfile, ModelTag
from aiida_edl.science.analysis.profile_settings import ProfileSettings
from aiida_edl.science.analysis.spread_runs import NoiseSource
from aiida_edl.science.analysis.spread_verdict import Decision, decision

from . import synthetic

N_COARSE = 30
NOISE = 0.02


@pytest.fixture(scope='module')
def template() -> InterfaceProfiles:
    return interface_profiles(synthetic.film(8, seed=1, columns={'time': np.arange(8) * 10.0}))


@pytest.fixture
def make_profiles(template):
    """Return a factory of profiles with given coarse ⟨cos θ⟩ and ion density."""

    def make(
        cosine: np.ndarray, error: float = NOISE, ions: np.ndarray | float = 0.001, n_independent: float = 50.0
    ) -> InterfaceProfiles:
        samples = {
            f'coarse_{name}_n_effective': np.full(cosine.shape, n_independent)
            for name in ('mean_cosine', 'ion_number_density', 'oxygen_number_density')
        }
        return dataclasses.replace(
            template,
            **samples,
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


def test_bins_without_water_are_masked_in_the_comparisons_of_that_run_alone(make_models, make_profiles):
    models = make_models({'mixed': 0.1, 'single_2': 0.1, 'pair_0_2': 0.1}, 4)
    cosine = models[0].profiles.coarse_mean_cosine.copy()
    cosine[:4] = np.nan
    models[0] = ModelProfile(models[0].tag, make_profiles(cosine))
    spread = model_spread(models)
    assert (group(spread, 'mixed').n_bins, group(spread, 'mixed').n_masked_bins) == (16, 4)
    assert np.isnan(group(spread, 'mixed').spread[:4]).all()
    assert group(spread, 'pair_0_2').n_masked_bins == group(spread, 'single_2').n_masked_bins == 0
    assert {item.n_masked_bins for item in (comparison(spread).mixed, comparison(spread).single)} == {4}
    other = next(c for c in spread.comparisons if (c.observable, c.architecture) == ('mean_cosine', 'deep_potential'))
    assert other.mixed.n_masked_bins == 0


def test_bins_without_any_ion_are_masked(make_models):
    models = make_models({'mixed': 0.1, 'single_2': 0.1}, 2)
    empty = np.where(np.arange(N_COARSE) < 5, 0.0, 0.001)
    models = [ModelProfile(m.tag, dataclasses.replace(m.profiles, coarse_ion_number_density=empty)) for m in models]
    assert group(model_spread(models), 'mixed', 'ion_number_density').n_masked_bins == 5


def ion_models(make_profiles, places: dict[str, list[int]], n_independent: float = 50.0) -> list[ModelProfile]:
    """Models whose ions stay in one bin and the next, which differ by seed and by kind of training."""
    random, models = np.random.default_rng(5), []
    for training_set, bins in places.items():
        for seed, place in enumerate(bins):
            density, error = np.zeros(N_COARSE), np.full(N_COARSE, np.nan)
            density[place : place + 2] = 0.01 * np.array([0.8, 0.2]) + 0.0002 * random.normal(size=2)
            error[place : place + 2] = 0.0002
            profiles = make_profiles(np.full(N_COARSE, 0.3), ions=density, n_independent=n_independent)
            profiles = dataclasses.replace(profiles, coarse_ion_number_density_error=error)
            models.append(ModelProfile(ModelTag(training_set, 'mace', seed, '2Na'), profiles))
    return models


def test_ions_at_another_place_in_half_of_the_mixed_models_are_a_disagreement(make_profiles):
    found = comparison(
        model_spread(ion_models(make_profiles, {'single_2': [4] * 6, 'mixed': [4, 12] * 3})), 'ion_number_density'
    )
    assert (found.mixed.n_bins, found.mixed.n_masked_bins) == (4, 16)
    assert decision(found) is Decision.MIXED_SPREADS_MORE
    assert found.ratio.low > 100.0


def test_bin_that_a_run_never_visits_holds_no_more_than_one_visit(make_profiles, template):
    models = ion_models(make_profiles, {'mixed': [4, 12]}, n_independent=40.0)
    found = group(model_spread(models), 'mixed', 'ion_number_density')
    one_visit = 1.0 / (40.0 * template.area * template.settings.coarse_bin_width * template.n_surfaces)
    expected = np.sqrt(0.5 * (0.0002**2 + one_visit**2))
    assert found.noise[[4, 5, 12, 13]] == pytest.approx(np.full(4, expected), rel=1e-12)
    assert found.n_masked_bins == 16


def test_noise_alone_is_the_noise_floor(make_models):
    excess, integrated, floor = [], [], []
    for seed in range(30):
        found = group(model_spread(make_models({'mixed': 0.0}, 4, seed)), 'mixed')
        excess.append(found.excess_variance)
        integrated.append(found.integrated_spread)
        floor.append(found.integrated_noise)
    # 30 sets of 20 bins of 3 degrees of freedom: variance known to sqrt(2/1800) = 3.3 %, four of these.
    assert abs(np.mean(excess)) < 0.13 * NOISE**2
    assert np.mean(integrated) == pytest.approx(np.mean(floor), rel=0.07)


def test_true_spread_is_found_beneath_the_noise(make_models):
    excess = [
        group(model_spread(make_models({'mixed': 0.05}, 4, seed, noise=0.05)), 'mixed').excess_variance
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


def test_interval_leaves_out_one_where_mixed_models_spread_more(make_models):
    found = comparison(model_spread(make_models({'mixed': 0.3, 'single_2': 0.03}, 6)))
    assert 1.0 < found.ratio.low < found.ratio.ratio < found.ratio.high
    assert found.adjusted_p >= found.ratio.p_value
    assert found.ratio.n_clusters == 2


def test_excess_is_not_known_from_short_runs(make_profiles):
    models = [
        ModelProfile(ModelTag(name, 'mace', seed, '0'), make_profiles(np.full(N_COARSE, value), n_independent=20.0))
        for name in ('mixed', 'single_0')
        for seed, value in enumerate((0.1, 0.3, 0.8))
    ]
    spread = model_spread(models)
    found = group(spread, 'mixed')
    assert found.noise_source is NoiseSource.UNKNOWN
    unknown = (found.noise_rms, found.excess_variance, found.excess_variance_low, found.integrated_noise)
    assert np.isnan(unknown).all()
    assert found.spread_rms == pytest.approx(np.std([0.1, 0.3, 0.8], ddof=1), rel=1e-12)
    # The comparison stands: both kinds of runs are alike.
    assert comparison(spread).ratio.ratio == pytest.approx(1.0, rel=1e-9)
    assert comparison(spread).has_like_noise


def test_runs_of_unlike_length_or_noise_are_told_apart(make_profiles):
    def compared(**changes: object):
        models = [
            ModelProfile(ModelTag('mixed', 'mace', seed, '0'), make_profiles(np.full(N_COARSE, value), 0.1, 1.0, 9.0))
            for seed, value in enumerate((0.1, 0.3, 0.8))
        ]
        others = [
            ModelProfile(ModelTag('single_0', 'mace', m.tag.seed, '0'), dataclasses.replace(m.profiles, **changes))
            for m in models
        ]
        return comparison(model_spread([*models, *others]))

    assert compared().has_like_noise
    assert not compared(n_frames=100).has_like_noise
    assert not compared(coarse_mean_cosine_error=np.full(N_COARSE, 0.04)).has_like_noise


def replicated(make_profiles, values: list[float], scatter: float) -> list[ModelProfile]:
    """Models of two runs each, whose own errors are far too small."""
    models = []
    for seed, value in enumerate(values):
        runs = np.stack([np.full(N_COARSE, value + sign * scatter) for sign in (-1, 1)])
        profiles = make_profiles(runs.mean(axis=0), 1e-6, n_independent=2.0)
        profiles = dataclasses.replace(profiles, n_replicas=2, coarse_mean_cosine_of_replicas=runs)
        models.append(ModelProfile(ModelTag('mixed', 'mace', seed, '0'), profiles))
    return models


def test_scatter_between_the_runs_of_a_model_is_its_noise(make_profiles):
    found = group(model_spread(replicated(make_profiles, [0.2, 0.3, 0.4], 0.05)), 'mixed')
    assert found.noise_source is NoiseSource.REPLICAS
    # Two runs at ±0.05 of their mean have a standard deviation of 0.05 sqrt(2), their mean an error of 0.05.
    assert found.noise_rms == pytest.approx(0.05, rel=1e-12)
    assert found.excess_variance == pytest.approx(0.1**2 - 0.05**2, rel=1e-12)
    assert found.excess_variance_low < found.excess_variance < found.excess_variance_high


def test_identical_models_in_short_runs_have_no_significant_excess(template):
    """Runs of one correlation time: errors of single runs are a third of the truth, those by replicas are right."""
    random, n_frames, tau, above, excess = np.random.default_rng(7), 100, 100.0, 0, []
    decay = np.exp(-1.0 / tau)
    for _ in range(20):
        models = []
        for seed in range(6):
            series = random.normal(size=(2, 1, N_COARSE)) * np.ones((1, n_frames, 1))
            for step in range(1, n_frames):
                kick = np.sqrt(1.0 - decay**2) * random.normal(size=(2, N_COARSE))
                series[:, step] = decay * series[:, step - 1] + kick
            runs = series.mean(axis=1)
            profiles = dataclasses.replace(
                template,
                coarse_mean_cosine=runs.mean(axis=0),
                coarse_mean_cosine_error=np.full(N_COARSE, 0.2),
                coarse_mean_cosine_of_replicas=runs,
                coarse_mean_cosine_n_effective=np.full(N_COARSE, 5.0),
                n_replicas=2,
            )
            models.append(ModelProfile(ModelTag('mixed', 'mace', seed, '0'), profiles))
        found = group(model_spread(models), 'mixed')
        above += found.excess_variance_low > 0.0
        excess.append(found.excess_variance / found.noise_rms**2)
    # 6 models and 20 bins: the variance is known to 14 %, so is the noise; 20 sets of them.
    assert abs(np.mean(excess)) < 4 * 0.2 / np.sqrt(20)
    assert above <= 3


def test_spread_of_architectures_is_not_taken_for_that_of_seeds(make_profiles):
    random, models = np.random.default_rng(11), []
    for kind, effect in (('mixed', 1.0), ('single_2', 0.05)):
        for architecture in ('mace', 'grace', 'deep_potential'):
            offset = effect * random.normal()
            for seed in range(3):
                cosine = offset + 0.02 * random.normal(size=N_COARSE)
                models.append(ModelProfile(ModelTag(kind, architecture, seed, '2Na'), make_profiles(cosine)))
    spread = model_spread(models)
    found = comparison(spread)
    assert found.mixed.spread_rms > 5 * found.single.spread_rms
    assert found.mixed.seed_spread_rms == pytest.approx(0.02, rel=0.2)
    assert found.adjusted_p > 0.05
    between = next(c for c in spread.comparisons if c.architecture == 'between_architectures')
    assert (between.mixed.n_models, decision(between)) == (3, Decision.TOO_FEW_MODELS)


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


def test_one_architecture_alone_is_compared_with_no_other(make_models):
    models = [
        model
        for model in make_models({'mixed': 0.1, 'single_2': 0.1}, n_models=4)
        if (model.tag.training_set, model.tag.architecture) != ('single_2', 'mace')
    ]
    spread = model_spread(models)
    between = next(c for c in spread.comparisons if c.architecture == 'between_architectures')
    assert (between.mixed.n_models, between.single.n_models) == (1, 1)
    assert np.isnan(between.difference)
    assert decision(between) == Decision.TOO_FEW_MODELS
