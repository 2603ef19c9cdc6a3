"""Every registered architecture, and the toy one, does what architectures must do."""

from __future__ import annotations

from pathlib import Path

from toy.least_squares import LeastSquares

from aiida_edl.architectures import testing
from aiida_edl.registry import ARCHITECTURES, load_member, registered_names

FIXTURES = Path(__file__).parent.parent / 'fixtures' / 'training'


def conformance_of(name: str) -> type[testing.ArchitectureConformance]:
    """Return the checks of one registered architecture."""
    attributes = {
        'architecture_class': type(load_member(ARCHITECTURES, name)),
        'entry_point_name': name,
        'fixtures': FIXTURES / name,
    }
    return type(f'Test_{name}', (testing.ArchitectureConformance,), attributes)


globals().update({f'Test_{name}': conformance_of(name) for name in registered_names(ARCHITECTURES)})


class TestToy(testing.ArchitectureConformance):
    architecture_class = LeastSquares
    fixtures = FIXTURES / 'least_squares'


def test_architectures_of_this_package_are_registered():
    assert {'deep_potential', 'mace'} <= set(registered_names(ARCHITECTURES))


def test_field_docstrings_are_read_below_the_fields():
    docstrings = testing.field_docstrings(testing.ArchitectureConformance)
    assert docstrings['architecture_class'] == 'Class under test; made without arguments.'
