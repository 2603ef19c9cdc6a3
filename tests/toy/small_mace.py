"""Write a small MACE model with random weights: ``python small_mace.py FILE``; needs mace-torch and
``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` for e3nn."""

from __future__ import annotations

import sys

import numpy as np
import torch
from e3nn import o3
from mace import modules

ELEMENTS = (1, 8, 11, 79)


def main(path: str) -> None:
    """Make the model in double precision and save it as the trainer does."""
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    model = modules.ScaleShiftMACE(
        r_max=3.5,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=modules.interaction_classes['RealAgnosticResidualInteractionBlock'],
        interaction_cls_first=modules.interaction_classes['RealAgnosticResidualInteractionBlock'],
        num_interactions=2,
        num_elements=len(ELEMENTS),
        hidden_irreps=o3.Irreps('8x0e + 8x1o'),
        MLP_irreps=o3.Irreps('8x0e'),
        gate=torch.nn.functional.silu,
        atomic_energies=np.array([-13.0, -430.0, -180.0, -900.0]),
        avg_num_neighbors=10.0,
        atomic_numbers=list(ELEMENTS),
        correlation=2,
        radial_MLP=[8, 8],
        radial_type='bessel',
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    torch.save(model, path)


if __name__ == '__main__':
    main(sys.argv[1])
