"""Report of a benchmark: page, figures, tables."""

from __future__ import annotations

import csv
import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import pytest
from aiida.orm import WorkChainNode

from aiida_edl.provenance import methods, report_text, run_exclusions, tables_runs
from aiida_edl.provenance.analysed_runs import AnalysedRun
from aiida_edl.provenance.curves import CURVE_FIGURES
from aiida_edl.provenance.figure_style import render
from aiida_edl.provenance.figures import FIGURES, render_figures
from aiida_edl.provenance.graph import called_processes
from aiida_edl.provenance.report import ReportError, write_report
from aiida_edl.provenance.results import collect, joined_labels
from aiida_edl.provenance.table_formats import PRINTED_COLUMNS, printed_columns
from aiida_edl.provenance.tables import TABLES

WITHOUT_ROWS = {
    'structures_without_reference',
    'locality',
    'given_potentials',
    'remedies',
    'remedy_comparisons',
}
"""Tables for which the stored benchmark has nothing to show."""


@pytest.fixture(scope='module')
def results(benchmark):
    return collect(benchmark.process)


@pytest.fixture(scope='module')
def files(benchmark, tmp_path_factory):
    return write_report(benchmark.process, tmp_path_factory.mktemp('report'))


@pytest.fixture(scope='module')
def page(files):
    return files.page.read_text(encoding='utf-8')


def test_every_figure_has_png_svg_and_table(files):
    names = {path.name for path in files.figures}
    assert names == {f'{name}.{suffix}' for name in FIGURES for suffix in ('png', 'svg')}
    assert {path.stem for path in files.tables} == set(TABLES) - WITHOUT_ROWS
    assert {FIGURES[name].table for name in FIGURES} <= {path.stem for path in files.tables}


def test_text_shows_figures_that_are_there_and_tables(files):
    text = (files.page.parent / 'report.md').read_text(encoding='utf-8')
    images = re.findall(r'!\[[^\]]*\]\(([^)]*)\)', text)
    assert {'figures/errors.svg', 'figures/spread.svg'} <= set(images)
    assert all((files.page.parent / image).is_file() for image in images)
    assert '| claim | paper | ours | tolerance | verdict |\n|---|---|---|---|---|\n' in text
    assert '&#' not in text
    assert '\n\n\n' not in text


def test_page_needs_nothing_from_elsewhere(page):
    addresses = set(re.findall(r'https?://[^"\s<]+', page))
    assert {address for address in addresses if not address.startswith('http://www.w3.org/')} == set()
    assert '<script' not in page
    assert '<img' not in page


def test_identifiers_are_unique_and_references_lead_somewhere(page):
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', page)) <= set(identifiers)


def test_figures_take_the_colour_of_the_page(page):
    assert 'prefers-color-scheme: dark' in page
    assert 'currentColor' in page
    assert '#123456' not in page


def test_svg_files_are_well_formed(files):
    for path in files.figures:
        if path.suffix == '.svg':
            assert ElementTree.parse(path).getroot().tag == '{http://www.w3.org/2000/svg}svg'


def test_same_results_give_the_same_figure(results):
    def draw():
        return FIGURES['learning_curves'].draw(results)

    first, second = render('learning_curves', draw), render('learning_curves', draw)
    assert first.svg == second.svg


def test_page_states_charges(page):
    assert '-0.05945' in page  # -2 e / (5.8 Å)²
    assert '-95.25' in page  # times 1602.18 µC/cm²


def test_page_states_failures_and_rejected_labels(page):
    assert 'The temperature rose above 3000 K at step 120' in page
    assert 'the largest force is 45 eV/Å, the cap is 30 eV/Å' in page


def test_page_states_versions(page):
    assert 'mace-torch 0.3.16' in page


def test_answer_of_the_page_is_that_of_the_graph(results):
    sentences = report_text.answer_sentences(results)
    assert ' '.join(sentences) == results.answer['verdict']


def test_error_sentences(results):
    best, outside = report_text.error_sentences(results)
    assert best.startswith(
        'Among models tested on charge states they were trained on, mace, mixed, seed 1 at 0 has the smallest force '
        'error: 110 ± 11 meV/Å'
    )
    # Medians of 9 known and 3 unknown rows: 0.21 and 0.63 eV/Å by construction.
    assert outside == (
        'The median force error is 210 meV/Å on charge states of the training set and 630 meV/Å on others, 3.0 times '
        'as much.'
    )


def test_receptive_fields_are_compared_with_the_film(results):
    assert report_text.receptive_field_sentences(results) == [
        'deep_potential sees 4.5 Å of a film of at least 12.0 Å: an atom at the surface cannot tell how many ions lie '
        'beyond.',
        'mace sees 9.0 Å of a film of at least 12.0 Å: an atom at the surface cannot tell how many ions lie beyond.',
    ]


def test_table_of_profiles_holds_every_run(files):
    (path,) = (path for path in files.tables if path.stem == 'profiles')
    rows = list(csv.DictReader(path.open(encoding='utf-8')))
    assert len(rows) == 10 * 24  # 8 runs with potentials, 2 references; 12 Å in bins of 0.5 Å
    assert {row['kind'] for row in rows} == {'mixed', 'single', 'reference'}


def test_report_without_answer(results):
    partial = dataclasses.replace(results, answer={}, profiles=())
    assert report_text.answer_sentences(partial)[0].startswith('The benchmark has no answer: it is finished')
    partial = dataclasses.replace(
        partial,
        analyses=(),
        penalty={},
        ranking={},
        capacitance={},
        solvent_dipoles={},
        survivals=(),
        errors_over_size=(),
    )
    assert set(render_figures(partial)) == {'errors', 'energy_shifts', 'learning_curves'}


def test_single_figure_comes_with_its_table_and_no_page(benchmark, tmp_path):
    files = write_report(benchmark.process, tmp_path, figures=('force_ratios',))
    assert sorted(path.name for path in (tmp_path / 'figures').iterdir()) == [
        'force_ratios.csv',
        'force_ratios.png',
        'force_ratios.svg',
        'force_ratios.tex',
    ]
    assert not (tmp_path / 'report.html').exists()
    assert str(tmp_path / 'figures' / 'force_ratios.tex') in files.sentence


@pytest.mark.parametrize('name', sorted(PRINTED_COLUMNS))
def test_printed_rows_can_be_told_apart(benchmark, name):
    rows = printed_columns(name, TABLES[name](collect(benchmark.process)))
    keys = [tuple(value for value in row.values() if not isinstance(value, float)) for row in rows]
    assert len(set(keys)) == len(keys)


def test_single_table_is_written(benchmark, tmp_path):
    write_report(benchmark.process, tmp_path, tables=('paper_claims',))
    assert {path.name for path in (tmp_path / 'figures').iterdir()} == {'paper_claims.csv', 'paper_claims.tex'}


@pytest.mark.parametrize(
    ('wishes', 'message'),
    [
        ({'figures': ('spred',)}, r"unknown figure 'spred': did you mean 'spread'\? Known: .*"),
        (
            {'tables': ('structures_without_reference',)},
            "the benchmark has no numbers for table 'structures_without_reference'; it has \\[\\]",
        ),
    ],
)
def test_what_does_not_exist_is_refused(benchmark, tmp_path, wishes, message):
    with pytest.raises(ReportError, match=f'^{message}$'):
        write_report(benchmark.process, tmp_path, **wishes)


def test_page_names_the_command_of_every_figure_and_table(page, files):
    for name in FIGURES:
        assert f'--figure {name}' in page
    for path in files.tables:
        assert f'--table {path.stem}' in page


def test_page_states_capacitances(page):
    assert 'mace, mixed, seed 1: the differential capacitance is 9 ± 2 µF/cm².' in page


def test_methods_come_from_the_graph(page):
    for words in (
        'the charge states are 0 (0.0 µC/cm²), 2Na (-95.3 µC/cm²).',
        'deep_potential: 4 models, seeds 1, 2, 400 gradient updates, receptive field 4.5 Å (batch_size 2;',
        '1 ps in steps of 0.5 fs at 330 K',
        'mace-torch 0.3.16',
        'core-hours in all',
    ):
        assert words in page


def test_quality_of_every_run_is_counted_and_one_that_exploded_unjudged(results):
    assert run_exclusions.count_sentence(results) == (
        '10 of 10 runs that were judged stayed within physics; the others count in no average. 1 more ended early or '
        'left nothing to judge.'
    )


def test_runs_that_do_not_count_are_those_that_exploded_and_those_that_left_physics(results):
    (exploded,) = TABLES['excluded_runs'](results)
    assert exploded == {
        'charge_state': '2Na',
        'architecture': 'deep_potential',
        'training_set': 'single_2',
        'kind': 'single',
        'seed': 2,
        'run': None,
        'reason': 'The temperature rose above 3000 K at step 120',
    }
    runs = results.runs_of('run_quality')
    scalars = {**runs[-1].scalars, 'is_physical': False, 'reasons': [{'sentence': 'the film evaporated'}]}
    bad = dataclasses.replace(runs[-1], scalars=scalars, replica=2)
    partial = dataclasses.replace(results, analyses=(*runs[:-1], bad))
    rows = TABLES['excluded_runs'](partial)
    assert [(row['architecture'], row['run'], row['reason']) for row in rows] == [
        (bad.tag.architecture, 2, 'the film evaporated'),
        ('deep_potential', None, 'The temperature rose above 3000 K at step 120'),
    ]
    assert run_exclusions.count_sentence(partial).startswith('9 of 10 runs that were judged stayed within physics')


def test_exploded_run_that_was_judged_is_listed_once(results):
    exploded = next(tag for _, tag, _ in run_exclusions.failed_runs(results))
    scalars = {'is_physical': False, 'reasons': [{'sentence': 'the program ended the run'}]}
    judged = AnalysedRun('run_quality', exploded, {}, scalars)
    rows = TABLES['excluded_runs'](dataclasses.replace(results, analyses=(*results.analyses, judged)))
    assert [row['reason'] for row in rows] == ['the program ended the run']


def test_rule_of_exclusion_is_printed_with_the_limits_of_the_graph(results):
    runs = results.runs_of('run_quality')
    stated = [dataclasses.replace(run, scalars={**run.scalars, 'settings': {'hot_factor': 7.0}}) for run in runs]
    (sentence,) = run_exclusions.rule_sentences(dataclasses.replace(results, analyses=tuple(stated)))
    assert 'its temperature exceeds 7 times the target' in sentence
    assert 'two atoms are closer than 0.6 of the sum of their covalent radii' in sentence


def test_runs_that_left_physics_are_not_drawn(results):
    (first, *_) = [run for run in results.runs_of('interface_profiles') if not run.tag.is_reference]
    row = {**dataclasses.asdict(first.tag), 'reason': 'the film evaporated'}
    partial = dataclasses.replace(results, answer={**results.answer, 'excluded': [row]})
    assert partial.excluded_tags == {first.tag}
    assert 'the film evaporated' in {found['reason'] for found in TABLES['excluded_runs'](partial)}


def test_radial_distributions_are_found_by_the_names_of_their_pairs(results):
    figure = CURVE_FIGURES['radial_distributions']
    (run, *_) = [run for run in results.runs_of('interface_structure') if run.tag.charge_state == '2Na']
    rows = {curve.pair: curve.values(run) for curve in figure.curves}
    names = {('O', 'O'): 'O-O', ('O', 'H'): 'O-H', ('metal', 'O'): 'Au-O', ('ion', 'O'): 'Na-O'}
    for pair, name in names.items():
        assert rows[pair].tolist() == run.arrays['rdf_g'][run.scalars['rdf_pairs'].index(name)].tolist()
    other = dataclasses.replace(run, scalars={**run.scalars, 'rdf_pairs': ['H-H', 'O-Na']})
    assert [curve.values(other) is None for curve in figure.curves] == [True, True, True, False]
    assert {'rdf_g_O_O', 'rdf_g_ion_O'} <= set(TABLES['radial_distributions'](results)[0])


def test_layers_are_named_by_their_bounds(results):
    caption = report_text.curve_caption(results, 'angles_in_layers')
    assert caption.endswith('Heights of the oxygen above the metal: layer 1: 0 to 4 Å, layer 2: 4 to 7 Å.')


def test_cell_is_counted_from_the_structures(results):
    assert methods.contents(results) == (
        '4 Au atoms and 1 water molecules in 5.80 × 5.80 × 20.00 Å, open along the normal'
    )


def test_runs_that_are_joined_are_not_taken_for_the_labels(benchmark):
    processes = called_processes(benchmark.process)
    (labels,) = joined_labels(processes)
    (found,) = [process for process in processes if process.pk == labels]
    runs = dataclasses.replace(found, pk=found.pk + 10_000, path=('mace_mixed_seed_01', 'join_runs_2Na'))
    assert joined_labels([*processes, runs]) == [labels]


def test_convergence_names_its_observables(results):
    rows = TABLES['convergence'](results)
    assert {row['observable'] for row in rows} == {'first_layer_count', 'solvent_dipole'}
    assert {(row['length_factor'], row['is_enough']) for row in rows} == {(0.5, True), (4.0, False)}
    (count, *_) = tables_runs.convergence_summary_rows(results)
    assert (count['observable'], count['runs of'], count['long enough']) == ('first layer count', 'reference', '2 of 2')
    names = {row['quantity'] for row in TABLES['analyses'](results) if row['analysis'] == 'convergence'}
    assert 'correlation_time[solvent_dipole]' in names


def test_survivals_and_sizes_are_named_by_architecture_and_training_set(results):
    assert [
        (row['architecture'], row['training_set'], row['n_failed']) for row in TABLES['survival_of_runs'](results)
    ] == [
        ('deep_potential', 'mixed', 0),
        ('deep_potential', 'single_2', 1),
        ('mace', 'mixed', 0),
        ('mace', 'single_2', 0),
    ]
    assert [row['n_training_frames'] for row in TABLES['errors_over_size'](results)] == [2, 4]
    assert report_text.survival_sentences(results)[0].startswith('deep_potential, single_2: 1 of 2 runs left physics')


def test_surface_charges_are_a_table(results):
    (neutral, charged) = TABLES['charge_states'](results)
    assert (neutral['charge_state'], charged['charge_state'], charged['metal_charge_e']) == ('0', '2Na', -2.0)
    assert charged['water_film_angstrom'] == pytest.approx(results.water_thickness('2Na'))


def test_long_tables_are_folded(page):
    assert re.search(r'<summary>All runs: 10 rows</summary>', page)


def test_answer_ends_with_what_does_not_count(results):
    first, second = 'One sentence.', 'Another one.'
    comparisons = [{'architecture': 'all', 'sentence': text} for text in (first, second)]
    answer = {'verdict': f'Counts. {first} {second} Not counted: 2.', 'comparisons': comparisons}
    sentences = report_text.answer_sentences(dataclasses.replace(results, answer=answer))
    assert sentences == ['Counts.', first, second, 'Not counted: 2.']


def test_numbers_of_analyses_have_their_errors(results):
    rows = [row for row in TABLES['analyses'](results) if row['quantity'] == 'dipole_normal_variance']
    assert {(row['value'], row['error']) for row in rows} == {(1.2, 0.1)}
    assert len(rows) == 10
    lists = {row['quantity'] for row in TABLES['analyses'](results) if row['analysis'] == 'run_quality'}
    assert {'element_temperature[H]', 'element_temperature[O]'} <= lists


def test_comparisons_of_analyses_are_tables(results):
    rows = [{'series': 'mace', 'differential_capacitance': 9.0, 'points': [1, 2]}]
    partial = dataclasses.replace(results, capacitance={'series': rows}, structures={'contrasts': [{'pair': 'O-O'}]})
    assert TABLES['capacitance'](partial) == [{'series': 'mace', 'differential_capacitance': 9.0}]
    assert TABLES['structure_contrasts'](partial) == [{'pair': 'O-O'}]


def test_process_that_called_nothing_is_refused(benchmark, tmp_path):
    node = WorkChainNode()
    node.set_process_label('SomeWorkChain')
    node.store()
    with pytest.raises(ReportError) as error:
        write_report(node, tmp_path)
    assert str(error.value) == (f'process {node.uuid} (SomeWorkChain) has called nothing; give that of a benchmark')


def test_what_cannot_be_compared_is_neither_decided_nor_undecided(results):
    row = {'architecture': 'all', 'decision': 'mixed_spreads_more', 'required_md_factor': 0.1}
    empty = {'architecture': 'all', 'decision': 'nothing_to_compare', 'required_md_factor': None}
    answer = {**results.answer, 'comparisons': [row, empty]}
    sentences = report_text.need_sentences(dataclasses.replace(results, answer=answer))
    assert sentences[0] == '1 of 1 comparisons are decided by these runs.'
    nothing = report_text.need_sentences(dataclasses.replace(results, answer={**answer, 'comparisons': [empty]}))
    assert nothing == ['Nothing was compared, so nothing can be said of what would be needed.']
