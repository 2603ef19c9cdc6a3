"""Sums by PyTorch, as one of the programs that are tuned and validated alike."""

from __future__ import annotations

from functools import partial

import torch

from aiida_edl.science.electrostatics.implementations import Implementation
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.electrostatics.torch_summation import TorchSummation

PRECISIONS = {'float32': torch.float32, 'float64': torch.float64}
LEAST_RELATIVE_ERRORS = {'float32': 3e-6, 'float64': 1e-12}
"""Smallest force error over the root mean square force that is asked of each precision; measured on salts and water."""
REMEDIES = {'float32': 'take float64', 'float64': 'nothing here is more precise'}


def torch_implementation(precision: str, device: str = 'cpu') -> Implementation:
    """Return the sums of PyTorch in one precision.

    :param precision: ``'float32'`` or ``'float64'``.
    :param device: ``'cpu'`` or ``'cuda'``.
    """
    return Implementation(
        name='torch',
        precision=precision,
        make=partial(_make, dtype=PRECISIONS[precision], device=device),
        nodes={'p3m': (4, 5), 'pme': (5, 6, 7)},
        cutoffs=(6.0, 9.0, 12.0),
        least_relative_error=LEAST_RELATIVE_ERRORS[precision],
        remedy=REMEDIES[precision],
    )


def _make(settings: SummationSettings, dtype: torch.dtype, device: str) -> TorchSummation:
    """Return a sum for given numbers."""
    return TorchSummation(settings, dtype, device)
