"""Join data sets."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import List

from aiida_edl.calculations.link_labels import in_natural_order
from aiida_edl.data.dataset import DatasetData
from aiida_edl.science.merging import NamedFrames, merge

KEY_CHARGE_CONVENTION = 'charge_convention'
"""Attribute of a data set that says how the charge of its cells is stated."""


@calcfunction
def join_datasets(accepted_differences: List | None = None, **datasets: DatasetData) -> DatasetData:
    """Join data sets of one meaning, in the order of their link labels (numbers compare as numbers).

    Sets of different level of theory, number of wet sides, charge convention or zero of energy are refused, and so are
    labels and columns that only some have, unless the difference is accepted by name.

    :param accepted_differences: names among ``level_of_theory``, ``n_wet_sides``, ``charge_convention``,
        ``energy_zero``, ``labels`` and ``columns``; none without it.
    :param datasets: the data sets.
    :return: one data set; it keeps the attributes that all parts share, e.g. the temperature of a trajectory. Where the
        parts differ, ``differences`` names in what, ``parts`` what each of them was, ``dropped`` the labels and columns
        that were left out; the level of theory lists all, and the column ``joined_part`` tells the frames apart.
    """
    keys = in_natural_order(datasets)
    nodes = [datasets[key] for key in keys]
    parts = [
        NamedFrames(
            name=key,
            frames=node.frames(),
            level_of_theory=node.level_of_theory,
            n_wet_sides=node.n_wet_sides,
            charge_convention=node.base.attributes.get(KEY_CHARGE_CONVENTION, ''),
        )
        for key, node in zip(keys, nodes)
    ]
    merged = merge(parts, () if accepted_differences is None else accepted_differences.get_list())
    levels = list(dict.fromkeys(part.level_of_theory for part in parts if part.level_of_theory))
    origins = sorted({node.base.attributes.get(node.KEY_ORIGIN) for node in nodes})
    are_single = all(node.base.attributes.get(node.KEY_PRECISION, '') == 'float32' for node in nodes)
    joined = DatasetData.from_frames(
        merged.frames, ' | '.join(levels), '; '.join(origins), parts[0].n_wet_sides, in_single_precision=are_single
    )
    first, *others = [node.base.attributes.all for node in nodes]
    shared = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    joined.base.attributes.set_many(
        {key: value for key, value in shared.items() if key not in joined.base.attributes.all}
    )
    if merged.differences:
        joined.base.attributes.set_many(_record(parts, nodes, merged.differences, merged.dropped))
    return joined


def _record(parts: list[NamedFrames], nodes: list[DatasetData], differences: Any, dropped: Any) -> dict[str, Any]:
    """Return the attributes that say in what the parts of a joined set differ."""
    record: dict[str, Any] = {
        'differences': [difference.value for difference in differences],
        'dropped': list(dropped),
        'parts': [
            {
                'label': part.name,
                'n_frames': len(part.frames),
                'level_of_theory': part.level_of_theory,
                'n_wet_sides': part.n_wet_sides,
                KEY_CHARGE_CONVENTION: part.charges_in_words,
            }
            for part in parts
        ],
    }
    if len({part.n_wet_sides for part in parts}) > 1:
        # Surface charges are those of each part: one number of wet sides would be wrong for the other.
        key = DatasetData.KEY_CHARGE_STATES
        record[key] = [
            {**state, 'n_wet_sides': part.n_wet_sides}
            for part, node in zip(parts, nodes)
            for state in node.base.attributes.get(key)
        ]
    return record
