"""Every registered format does what formats must do."""

from __future__ import annotations

from typing import Any

from aiida_edl.registry import DATASET_FORMATS, load_member, registered_names
from aiida_edl.science.formats import testing

STATED: dict[str, dict[str, Any]] = {}
"""Options that must be stated to write a format, by its name."""
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    'deepmd_npy': ({}, {'precision': 'float32'}, {'mixed': True}, {'mixed': True, 'precision': 'float32'}),
}
"""Options with which frames are written and read back, by format."""


def conformance_of(name: str) -> type[testing.DatasetFormatConformance]:
    """Return the checks of one registered format."""
    attributes = {
        'format_class': type(load_member(DATASET_FORMATS, name)),
        'entry_point_name': name,
        'stated': STATED.get(name, {}),
        'write_options': VARIANTS.get(name, ({},)),
    }
    return type(f'Test_{name}', (testing.DatasetFormatConformance,), attributes)


globals().update({f'Test_{name}': conformance_of(name) for name in registered_names(DATASET_FORMATS)})


def test_formats_of_this_package_are_registered():
    assert {'extended_xyz', 'deepmd_npy'} <= set(registered_names(DATASET_FORMATS))
