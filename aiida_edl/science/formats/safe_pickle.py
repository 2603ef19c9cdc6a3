"""Read a pickled table without running what it says: only classes that hold data are made, by their exact names.

A pickle is a program. The reader of this module knows the few names of which tables of pandas, arrays of numpy and
atoms of ASE are made; everything else of ASE becomes an object that does nothing, and any other name is refused.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from typing import IO, Any

from aiida_edl.science.formats.file_units import FormatError

NAMES: Mapping[str, frozenset[str]] = {
    'builtins': frozenset({'slice', 'bytearray', 'complex', 'set', 'frozenset', 'range', 'list', 'dict', 'tuple'}),
    '_codecs': frozenset({'encode'}),
    'collections': frozenset({'OrderedDict', 'defaultdict'}),
    'datetime': frozenset({'datetime', 'date', 'timedelta'}),
    'numpy': frozenset({'ndarray', 'dtype'}),
    'numpy._core.multiarray': frozenset({'_reconstruct', 'scalar'}),
    'numpy._core.numeric': frozenset({'_frombuffer'}),
    'pandas': frozenset({'DataFrame', 'Index', 'RangeIndex', 'StringDtype'}),
    'pandas.arrays': frozenset({'ArrowStringArray', 'StringArray'}),
    'pandas.core.frame': frozenset({'DataFrame'}),
    'pandas.core.indexes.base': frozenset({'_new_Index', 'Index'}),
    'pandas.core.indexes.range': frozenset({'RangeIndex'}),
    'pandas.core.internals.managers': frozenset({'BlockManager'}),
    'pandas.core.arrays.string_': frozenset({'StringDtype', 'StringArray'}),
    'pandas._libs.internals': frozenset({'_unpickle_block'}),
    'pyarrow.lib': frozenset({'_restore_array', 'type_for_alias', 'py_buffer'}),
    'ase.atoms': frozenset({'Atoms'}),
    'ase.cell': frozenset({'Cell'}),
}
"""Names that may be looked up, by module. None of them runs code that is given to it."""
RENAMED = {
    '__builtin__': 'builtins',
    'numpy.core.multiarray': 'numpy._core.multiarray',
    'numpy.core.numeric': 'numpy._core.numeric',
}
"""Modules under the names that older versions gave them."""
OLD_INDICES = ('Int64Index', 'UInt64Index', 'Float64Index')
"""Classes of indices before pandas 2."""


class Inert:
    """What stands for an object that is of no use here: it takes anything and does nothing."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take anything."""

    def __setstate__(self, state: Any) -> None:
        """Take anything."""

    def __call__(self, *arguments: Any, **named: Any) -> Inert:
        """Return itself."""
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        """Take anything."""


class TableUnpickler(pickle.Unpickler):
    """An unpickler that knows :data:`NAMES` only."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for.

        :param module: module that the pickle names.
        :param name: name in it.
        :raises FormatError: for a name that is not of a table.
        """
        module = RENAMED.get(module, module)
        if module == 'pandas.core.indexes.numeric' and name in OLD_INDICES:
            module, name = 'pandas', 'Index'
        if name in NAMES.get(module, ()):
            return getattr(importlib.import_module(module), name)
        if module.partition('.')[0] == 'ase' or (module, name) == ('builtins', 'getattr'):
            return Inert
        raise FormatError(
            f'the pickle asks for {module}.{name}, which is no part of a table of atoms and might run anything; write '
            'the table without it'
        )


def unpickled_table(handle: IO[bytes], source: str) -> Any:
    """Return the pickled object of a file.

    :param handle: the file, decompressed.
    :param source: its name, for messages.
    :raises FormatError: if it is broken or asks for what is not of a table.
    """
    try:
        return TableUnpickler(handle).load()
    except FormatError as error:
        raise FormatError(f'{source}: {error}') from error
    except (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise FormatError(
            f'{source} is truncated or no pickled table ({type(error).__name__}: {error}); copy it again'
        ) from error
