"""Make environments without AiiDA, as the demo does before it has a profile.

``python -m aiida_edl.environments --path FOLDER NAME ...``, where each name is that of an environment or an
architecture. Of several names, one that an earlier environment serves is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aiida_edl.environments.installation import Installation, InstallationError, install
from aiida_edl.environments.recipes import Accelerator, UnknownEnvironmentError, recipes_for


def main(arguments: list[str]) -> int:
    """Make the environments and return 0, or print one sentence and return 1.

    :param arguments: of the command line.
    """
    parser = argparse.ArgumentParser(
        prog='python -m aiida_edl.environments', description=(__doc__ or '').split('\n')[0]
    )
    parser.add_argument('names', nargs='+', metavar='NAME', help='environment or architecture')
    parser.add_argument('--path', type=Path, required=True, help='folder below which the environments are made')
    parser.add_argument('--accelerator', choices=[member.value for member in Accelerator], default='cpu')
    parser.add_argument('--python', default='python3', help='interpreter on which they are built')
    chosen = parser.parse_args(arguments)
    try:
        for recipe in recipes_for(chosen.names):
            folder = chosen.path.absolute() / recipe.name
            install(Installation(recipe, folder, Accelerator(chosen.accelerator), chosen.python), _print)
    except (InstallationError, UnknownEnvironmentError) as error:
        sys.stderr.write(f'error: {error}\n')
        return 1
    return 0


def _print(line: str) -> None:
    sys.stdout.write(line + '\n')
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
