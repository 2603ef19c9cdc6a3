"""How a model is turned into another format: commands that read its files and write others, and chains of such steps.

A format is a name. Each step runs in an environment of its own, as the programs that read one format and write the next
need not go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiida_edl.architectures.bindings import MODEL_PATH, NATIVE, PRECISION
from aiida_edl.architectures.precision import Precision
from aiida_edl.registry import unknown_name_message


class ConversionError(ValueError):
    """A format into which a model cannot be converted; the message says which there are."""


@dataclass(frozen=True)
class Conversion:
    """One step from a format to another."""

    arguments: tuple[tuple[str, ...], ...]
    """Arguments of the Python interpreter of the environment for each command, :data:`MODEL_PATH` for the model and
    :data:`PRECISION` for the precision in which it was trained."""
    file_name: str
    """File or folder that the commands write, and its name in later jobs."""
    environment: str
    """Environment of this package whose interpreter runs the commands, see ``aiida_edl/environments``."""
    source: str = NATIVE
    """Format from which it starts."""
    packages: tuple[str, ...] = ()
    """Distributions whose versions are recorded."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the commands."""

    @property
    def install_command(self) -> str:
        """Command that installs what is needed, named when a code is missing."""
        return f'aiida-edl environment create {self.environment}'

    def arguments_for(self, model_path: str, precision: Precision) -> tuple[tuple[str, ...], ...]:
        """Return the arguments of each command for a model.

        :param model_path: file or folder of the model in the working directory.
        :param precision: precision of the model.
        """

        def fill(word: str) -> str:
            return word.replace(MODEL_PATH, model_path).replace(PRECISION, precision.value)

        return tuple(tuple(fill(word) for word in words) for words in self.arguments)


def conversion_chain(conversions: Mapping[str, Conversion], source: str, target: str) -> Sequence[str]:
    """Return the formats through which a model goes, the last of which is the target; none if it is there already.

    >>> steps = {
    ...     'b': Conversion((), file_name='model.b', environment='x', source='a'),
    ...     'c': Conversion((), file_name='model.c', environment='x', source='b'),
    ... }
    >>> conversion_chain(steps, 'a', 'c')
    ['b', 'c']

    :param conversions: steps by the format they write.
    :param source: format of the model.
    :param target: wished format.
    :raises ConversionError: if no chain leads there.
    """
    if source != target and target not in conversions:
        known = sorted(conversions) or ['none']
        raise ConversionError(unknown_name_message('target format', target, known))
    chain: list[str] = []
    wanted = target
    while wanted != source:
        if wanted not in conversions or wanted in chain:
            raise ConversionError(
                f"no conversion leads from the format '{source}' to '{target}': it starts from '{wanted}'; convert a "
                'potential of that format'
            )
        chain.insert(0, wanted)
        wanted = conversions[wanted].source
    return chain
