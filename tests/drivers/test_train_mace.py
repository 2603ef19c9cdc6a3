from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from aiida_edl.drivers.train_mace import keeping_atomic_energies


class Array(np.ndarray):
    """An array with the three methods of a tensor that the program uses."""

    def clone(self):
        return self.copy()

    def to(self, other):
        return self.astype(other.dtype)

    def copy_(self, other):
        self[...] = other


def model_with(energies):
    block = SimpleNamespace(atomic_energies=np.array(energies).view(Array))
    return SimpleNamespace(atomic_energies_fn=block, weight=0)


def test_stated_atomic_energies_outlive_the_copy_of_weights():
    def copy_all(model, parent, *, factor):
        model.weight = factor * parent.weight
        model.atomic_energies_fn.atomic_energies.copy_(parent.atomic_energies_fn.atomic_energies)
        return model

    parent = model_with([[-1.0, -2.0]])
    parent.weight = 3
    copied = keeping_atomic_energies(copy_all)(model_with([[-7.0, -8.0]]), parent, factor=2)
    assert copied.weight == 6
    np.testing.assert_array_equal(copied.atomic_energies_fn.atomic_energies, [[-7.0, -8.0]])
