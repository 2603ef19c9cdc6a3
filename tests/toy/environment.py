"""Recipe of an environment that pip makes without a network: numpy and ASE come from the interpreter of the tests."""

from __future__ import annotations

import sysconfig
import zipfile
from pathlib import Path

NAME = 'toy'
RECIPE = """\
description: numpy and ASE, lent by the tests
licence: MIT
python: {{oldest: '3.10', tested: '3.11'}}
size_gigabyte: {{cpu: 0.1, cuda: 0.2}}
pip: pip
steps:
  - what: the path to numpy and ASE
    packages: [toy-paths==1.0]
    options: [--no-index, --find-links, '{wheels}']
packages: [numpy, ase, toy-paths]
modules: [ase, numpy]
codes: {{toy-python: python}}
should_check_versions: false
"""
METADATA = 'Metadata-Version: 2.1\nName: toy-paths\nVersion: 1.0\n'
WHEEL = 'Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n'


def write_recipe(folder: Path) -> Path:
    """Write the recipe, its constraints and its one package; return the file of the recipe.

    :param folder: where they go.
    """
    files = {
        'toy_paths.pth': sysconfig.get_path('purelib') + '\n' + '\n'.join(_further_paths()) + '\n',
        'toy_paths-1.0.dist-info/METADATA': METADATA,
        'toy_paths-1.0.dist-info/WHEEL': WHEEL,
    }
    record = ''.join(f'{name},,\n' for name in (*files, 'toy_paths-1.0.dist-info/RECORD'))
    with zipfile.ZipFile(folder / 'toy_paths-1.0-py3-none-any.whl', 'w') as archive:
        for name, text in (*files.items(), ('toy_paths-1.0.dist-info/RECORD', record)):
            archive.writestr(name, text)
    path = folder / f'{NAME}.yaml'
    path.write_text(RECIPE.format(wheels=folder))
    (folder / f'{NAME}.txt').write_text('toy-paths==1.0\n')
    return path


def _further_paths() -> list[str]:
    """Return where numpy and ASE lie, if not beside this interpreter."""
    import ase
    import numpy as np

    return sorted({str(Path(module.__file__).parents[1]) for module in (ase, np)})
