"""How work chains go on from what an interrupted calculation left."""

from __future__ import annotations

from aiida.common import AttributeDict
from aiida.orm import CalcJobNode


def restart_from_checkpoint(inputs: AttributeDict, calculation: CalcJobNode) -> str:
    """Let the next calculation continue from the checkpoint of an interrupted one; return what was done.

    :param inputs: inputs of the next calculation; ``checkpoint`` is set if there is one, else left as it is.
    :param calculation: the interrupted calculation.
    """
    name = f'{calculation.process_label}<{calculation.pk}>'
    status = f'exit status {calculation.exit_status}'
    if 'checkpoint' in calculation.outputs:
        inputs.checkpoint = calculation.outputs.checkpoint
        return f'{name} was interrupted ({status}): continuing from its checkpoint to the same target'
    if 'checkpoint' in inputs:
        return f'{name} was interrupted ({status}) and left no checkpoint: repeating from the earlier one'
    return f'{name} was interrupted ({status}) and left no checkpoint: starting again'
