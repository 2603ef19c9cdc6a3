"""Start the trainer of mace-torch from a parent so that the stated atomic energies hold: ``python train_mace.py``.

Takes the options of ``mace.cli.run_train`` and runs in its environment. mace-torch 0.3.16 copies every array of the
parent that has the shape of the new model's, the atomic energies among them: those that were stated or estimated, and
logged as used, are lost in silence. Here they are put back after the weights were copied.
"""

from __future__ import annotations

import importlib
from typing import Any


def keeping_atomic_energies(copy_weights: Any) -> Any:
    """Return a function that copies weights of a parent into a model but leaves the atomic energies of the model.

    :param copy_weights: function of mace-torch whose first argument is the new model; returns that model.
    """

    def copy(model: Any, *arguments: Any, **keywords: Any) -> Any:
        stated = model.atomic_energies_fn.atomic_energies.clone()
        copied = copy_weights(model, *arguments, **keywords)
        energies = copied.atomic_energies_fn.atomic_energies
        energies.copy_(stated.to(energies))
        return copied

    return copy


def main() -> None:
    """Run the trainer with the options of the command line."""
    trainer = importlib.import_module('mace.cli.run_train')
    models = importlib.import_module('mace.tools.model_script_utils')
    name = 'load_foundations_elements'
    setattr(models, name, keeping_atomic_energies(getattr(models, name)))
    trainer.main()


if __name__ == '__main__':
    main()
