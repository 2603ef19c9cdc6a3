"""SevenNet in double precision, so that errors can be compared to more digits than single precision has.

The package sevenn casts frames and weights to single precision, and offers nothing else. Here its defaults are changed
before it is used: for its own inference (``python sevennet_in_double.py MODEL FRAMES``, which prints the errors on
labelled frames with all digits) and for its ASE calculator alike.
"""

from __future__ import annotations

import sys
from pathlib import Path

import sevenn.util
import torch
from sevenn.calculator import SevenNetCalculator
from sevenn.scripts.inference import inference

torch.set_default_dtype(torch.float64)
sevenn.util.dtype_correct.__defaults__ = (torch.float64, torch.int64)
# Species are embedded as floats of single precision, by this method.
torch.Tensor.float = torch.Tensor.double
# Instead of the length of force errors.
sevenn.util.get_error_recorder.__defaults__ = ([('Energy', 'RMSE'), ('Force', 'ComponentRMSE')],)


def calculator(model: str, device: str) -> SevenNetCalculator:
    """Return the calculator of a model, in double precision.

    :param model: path of the model.
    :param device: ``'cpu'`` or ``'cuda'``.
    """
    return SevenNetCalculator(model=model, device=device)


def print_errors(model: str, frames: str) -> None:
    """Print the errors of a model that the inference of the package finds.

    :param model: path of the model.
    :param frames: path of labelled frames, as the architecture writes them.
    """
    folder = Path('inference')
    inference(model, frames, str(folder), energy_key='REF_energy', force_key='REF_forces')
    sys.stdout.write((folder / 'errors.txt').read_text(encoding='utf-8'))


if __name__ == '__main__':
    print_errors(*sys.argv[1:])
