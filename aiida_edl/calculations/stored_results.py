"""Results of the science as nodes: arrays as arrays, the rest as attributes."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from aiida.orm import ArrayData
from numpy.typing import NDArray

from aiida_edl.science.analysis.result_parts import StoredResult

Result = TypeVar('Result', bound=StoredResult)


class Storable(Protocol):
    """What can be stored: see :class:`~aiida_edl.science.analysis.result_parts.StoredResult`."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays by name."""

    def scalars(self) -> dict[str, Any]:
        """Return the rest as JSON types, by name."""


def result_node(result: Storable) -> ArrayData:
    """Return a result as a node that is not stored.

    :param result: what an analysis found.
    """
    node = ArrayData(result.arrays())
    node.base.attributes.set_many(result.scalars())
    return node


def stored_result(cls: type[Result], node: ArrayData) -> Result:
    """Return the result that a node holds.

    :param cls: class of the result.
    :param node: made by :func:`result_node`.
    :raises ValueError: if a field is missing.
    """
    return cls.from_parts({name: node.get_array(name) for name in node.get_arraynames()}, node.base.attributes.all)
