"""``aiida-edl dataset``: choose, split, join and clean data sets; every step is stored with what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from aiida.cmdline.params.types import NodeParamType
from aiida.orm import ArrayData, Dict, Float, List

from aiida_edl.calculations.functions.check_split import check_split
from aiida_edl.calculations.functions.deduplicate_dataset import deduplicate_dataset
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.isolated_atom_energies import isolated_atom_energies
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.cli.parameters import FORMAT, named_numbers, node_argument, print_attributes
from aiida_edl.cli.run_function import named, run
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.duplicates import DuplicateMeasure
from aiida_edl.science.frame_columns import charge_states_of
from aiida_edl.science.group_splitting import TIME_BLOCKS
from aiida_edl.science.merging import Difference
from aiida_edl.science.selection import SelectionMethod
from aiida_edl.science.strata import Shares

LARGE_DIFFERENCE = 1e-3
"""Difference of energies of duplicates that is worth a warning [eV/atom]."""
DATASET = node_argument('dataset', 'edl.dataset')
SEED = click.option('--seed', type=int, default=0, show_default=True, help='Seed of all draws.')
LABEL = click.option('--label', default='', help='Label of the node.')
ARRAYS = NodeParamType(sub_classes=('aiida.data:core.array',))
ACCEPT = click.option(
    '--accept',
    'accepted',
    multiple=True,
    type=click.Choice([difference.value for difference in Difference]),
    help='A difference between the sets that is meant; it is recorded. Repeatable.',
)


def without_none(**values: Any) -> Dict:
    """Return settings as a node, without those that were not given."""
    return Dict({name: value for name, value in values.items() if value is not None})


@click.command('select')
@DATASET
@click.option('--number', 'n_frames', type=int, required=True, help='Frames to choose.')
@click.option(
    '--method',
    type=click.Choice([method.value for method in SelectionMethod]),
    default='random',
    show_default=True,
    help='How to choose; with strata, within each of them.',
)
@SEED
@click.option(
    '--stratify-by',
    help='Column whose values are strata, e.g. charge_state or composition; several joined by +, temperature+defect.',
)
@click.option(
    '--shares', type=click.Choice([share.value for share in Shares]), help='Of the strata; proportional by default.'
)
@click.option(
    '--share',
    'named_shares',
    multiple=True,
    metavar='STRATUM=SHARE',
    help='Of one stratum, about 1 in all; repeatable.',
)
@click.option('--bins', 'n_bins', type=int, help='Bins of equal width that make strata of a column of numbers.')
@click.option(
    '--radius', 'coverage_radius', type=float, help='Distance of descriptors within which a frame covers others [1/Å].'
)
@click.option('--descriptors', type=ARRAYS, help='One row per frame; distances to neighbours without it.')
@click.option('--deviations', type=ARRAYS, help='Deviations of a committee, or an array with one value per frame.')
@click.option('--lower', type=float, help='Least deviation of a frame that may be chosen.')
@click.option('--upper', type=float, help='Largest deviation of a frame that may be chosen.')
@click.option('--without-labels', is_flag=True, help='Drop the labels, e.g. those of the dynamics, to label anew.')
@LABEL
def select(
    dataset: DatasetData,
    descriptors: ArrayData | None,
    deviations: ArrayData | None,
    without_labels: bool,
    label: str,
    **values: Any,
) -> None:
    """Choose frames of DATASET."""
    if named_shares := values.pop('named_shares'):
        if values['shares'] is not None:
            raise click.UsageError('--shares and --share exclude each other, give one of them')
        values['shares'] = named_numbers(named_shares, 'share')
    settings = without_none(**values, keep_labels=not without_labels)
    node = run(select_frames, dataset=dataset, settings=settings, descriptors=descriptors, deviations=deviations)
    _print_dataset(node, label, f'of {dataset.n_frames} frames')


@click.command('deduplicate')
@DATASET
@click.option(
    '--threshold', type=float, required=True, help='Distance within which frames are duplicates [Å], e.g. 0.005.'
)
@click.option(
    '--measure',
    type=click.Choice([measure.value for measure in DuplicateMeasure]),
    default='fingerprint',
    show_default=True,
    help='Of distances between neighbours, whatever the order of equal atoms; or of corresponding atoms.',
)
@click.option('--column', 'columns', multiple=True, help='A column that tells frames apart; repeatable.')
@LABEL
def deduplicate(dataset: DatasetData, label: str, columns: tuple[str, ...], **values: Any) -> None:
    """Remove near-duplicates from DATASET; frames of different charge never are."""
    result = run(deduplicate_dataset, dataset=dataset, settings=without_none(**values, columns=list(columns)))
    removed = result['removed']
    _print_dataset(result['dataset'], label, f'{removed.base.attributes.get("n_removed")} duplicates removed')
    click.echo(f'{named(removed)}: which of which, at what distance')
    attributes = removed.base.attributes.all
    if attributes.get('largest_energy_difference', 0.0) > LARGE_DIFFERENCE:
        one, other = attributes['most_different']
        click.echo(
            f'Warning: energies of duplicates differ by up to {attributes["largest_energy_difference"]:.3g} eV/atom, '
            f'those of frames {one} and {other}; look at the labels.'
        )


@click.command('split')
@DATASET
@click.option(
    '--by',
    'group_by',
    help="Keep together: 'geometry' (with all its charges) or a column, e.g. group for trajectories. "
    'Blocks of time without it.',
)
@click.option('--leave-out', 'left_out', help='Charge state (number of ions) to test on, and to leave out of training.')
@click.option('--column', help='Column of the value left out.  [default: charge_state]')
@click.option('--training', 'n_training', type=int, help='Frames to train on.')
@click.option('--validation', 'n_validation', type=int, default=0, help='Frames for the learning curve.')
@click.option('--test', 'n_test', type=int, help='Frames for the reported errors.')
@click.option('--charge-states', help='Numbers of ions to train on, e.g. 0,2; blocks of time only.')
@click.option('--blocks', 'n_blocks', type=int, help='Blocks of time per trajectory.  [default: 10]')
@SEED
@LABEL
def split(dataset: DatasetData, label: str, **values: Any) -> None:
    """Split DATASET into frames to train on, to validate on, and to test on."""
    node = run(split_dataset, dataset=dataset, settings=without_none(**_split_settings(dataset, values)))
    if label:
        node.label = label
    sizes = ', '.join(f'{len(node.get_array(name))} {name}' for name in ('training', 'validation', 'test'))
    click.echo(f'{named(node)}: {sizes} of {dataset.n_frames} frames')


@click.command('leaks')
@DATASET
@click.argument('split', type=ARRAYS)
@click.option('--threshold', type=float, default=0.005, show_default=True, help='Of nearly equal geometries [Å].')
@FORMAT
def leaks(dataset: DatasetData, split: ArrayData, threshold: float, style: str) -> None:
    """Report what the test frames of SPLIT share with its training frames."""
    node = run(check_split, dataset=dataset, split=split, threshold=Float(threshold))
    values = node.get_dict()
    if style == 'table':
        shared = values.pop('shared_groups')
        values |= {f'shared {name}': found['n'] for name, found in shared.items()}
        values.pop('near_duplicates')
        click.echo(named(node))
    print_attributes(values, style)


@click.command('merge')
@click.argument('datasets', nargs=-1, required=True, type=NodeParamType(sub_classes=('aiida.data:edl.dataset',)))
@ACCEPT
@LABEL
def merge(datasets: tuple[DatasetData, ...], accepted: tuple[str, ...], label: str) -> None:
    """Join DATASETS; what they mean must be the same, or the difference accepted by name."""
    parts = {f'part_{number}': node for number, node in enumerate(datasets, start=1)}
    node = run(join_datasets, accepted_differences=List(list(accepted)) if accepted else None, **parts)
    differences = node.base.attributes.get('differences', [])
    said = f'; they differ in {", ".join(differences)}' if differences else ''
    _print_dataset(node, label, f'of {len(datasets)} sets{said}')


@click.command('reference-energies')
@DATASET
@click.option('--split', 'splits', multiple=True, type=ARRAYS, help='Fit to the training frames only; repeatable.')
@click.option(
    '--atoms', type=NodeParamType(sub_classes=('aiida.data:edl.dataset',)), help='Labelled isolated atoms; no fit.'
)
@ACCEPT
@LABEL
def reference_energies(
    dataset: DatasetData,
    splits: tuple[ArrayData, ...],
    atoms: DatasetData | None,
    accepted: tuple[str, ...],
    label: str,
) -> None:
    """Fit one energy per element to DATASET, or take those of isolated atoms of the same level of theory."""
    if atoms is not None and splits:
        raise click.UsageError('isolated atoms need no split; give --atoms or --split')
    differences = List(list(accepted)) if accepted else None
    if atoms is None:
        parts = {f'split_{number}': node for number, node in enumerate(splits, start=1)}
        node = run(fit_atomic_energies, dataset=dataset, accepted_differences=differences, **parts)
    else:
        node = run(isolated_atom_energies, dataset=dataset, atoms=atoms, accepted_differences=differences)
    if label:
        node.label = label
    click.echo(f'{named(node)}: ' + ', '.join(f'{symbol} {value:.6g} eV' for symbol, value in node.get_dict().items()))
    click.echo(node.description)


def _print_dataset(node: DatasetData, label: str, more: str) -> None:
    """Print which data set was made, and label it."""
    if label:
        node.label = label
    states = ', '.join(node.charge_labels)
    click.echo(f'{named(node)}: {node.n_frames} frames, charge states {states}; {more}')


def _split_settings(dataset: DatasetData, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the method of splitting that the options ask for."""
    given = {name: value for name, value in values.items() if value is not None}
    charge_states, n_blocks = given.pop('charge_states', None), given.pop('n_blocks', None)
    if 'left_out' in given or 'group_by' in given:
        if charge_states is not None or n_blocks is not None:
            raise click.UsageError('--charge-states and --blocks are of blocks of time; leave them or --by out')
        if 'left_out' in given:
            text = given['left_out']
            given['left_out'] = int(text) if text.lstrip('-').isdigit() else text
        elif 'column' in given:
            raise click.UsageError('--column is that of --leave-out; give both or none')
        return {'method': 'leave_one_out' if 'left_out' in given else 'groups', **given}
    if missing := [f'--{name}' for name in ('training', 'test') if f'n_{name}' not in given]:
        raise click.UsageError(f'blocks of time need {" and ".join(missing)}; for whole groups give --by')
    if charge_states is None:
        states = charge_states_of(dataset.frames()).tolist()
    else:
        states = [int(text) for text in charge_states.split(',')]
    return {'method': TIME_BLOCKS, **given, 'charge_states': sorted(set(states)), 'n_blocks': n_blocks or 10}


TOOLS = (select, deduplicate, split, leaks, merge, reference_energies)
"""Commands of the group ``dataset``."""
