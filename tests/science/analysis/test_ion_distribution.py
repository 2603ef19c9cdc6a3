"""Which ion is profiled."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_edl.science.analysis.atom_groups import atom_groups
from aiida_edl.science.analysis.ion_distribution import ion_indices, ion_symbol

SALT = np.array([79, 8, 1, 1, 11, 11, 17], dtype=np.uint8)
SODIUM = SALT[:6]


def test_only_kind_of_ion_is_taken():
    assert ion_symbol(SODIUM, atom_groups(SODIUM)) == 'Na'
    assert ion_indices(SODIUM, 'Na').tolist() == [4, 5]


def test_cell_without_ions_has_none():
    assert ion_symbol(SODIUM[:4], atom_groups(SODIUM[:4])) == ''
    assert ion_indices(SODIUM[:4], '').tolist() == []


def test_several_kinds_of_ion_need_a_choice():
    with pytest.raises(ValueError, match=r"^the frames hold the ions Na, Cl: choose one by the setting 'ion'$"):
        ion_symbol(SALT, atom_groups(SALT))
    assert ion_symbol(SALT, atom_groups(SALT), 'Cl') == 'Cl'


def test_symbol_without_formal_charge_is_refused():
    known = 'Br, Ca, Cl, Cs, F, I, K, Li, Mg, Na, Rb'
    with pytest.raises(ValueError, match=rf"^unknown ion 'Sn': Known: {known}\.$"):
        ion_symbol(SALT, atom_groups(SALT), 'Sn')
