"""Who follows the page on adding an architecture gets one that works, and touches no file of this package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs' / 'source' / 'howto' / 'add_architecture.md'
INCLUDED = re.compile(r'```\{literalinclude\} (\S+)\n:caption: (\S+)\n')
WRITTEN = re.compile(r'```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)```', re.DOTALL)
METADATA = re.compile(r'```toml\n\[project\.entry-points\."(\S+)"\]\n(.*?)```', re.DOTALL)
STATED_ELSEWHERE = ('tests/toy/least_squares_calculator.py',)
"""The trainer of the example, which the page says that the module hands over."""


@pytest.fixture
def package(tmp_path):
    """Return a folder with the package that the page describes, installed as far as entry points are concerned."""
    page = PAGE.read_text(encoding='utf-8')
    for source, target in INCLUDED.findall(page):
        (tmp_path / target).parent.mkdir(exist_ok=True)
        shutil.copy(PAGE.parent / source, tmp_path / target)
    for source in STATED_ELSEWHERE:
        shutil.copy(ROOT / source, tmp_path / 'my_package')
    for target, text in WRITTEN.findall(page):
        (tmp_path / target).parent.mkdir(exist_ok=True)
        (tmp_path / target).write_text(text, encoding='utf-8')
    metadata = tmp_path / 'my_package-1.0.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n')
    ((group, lines),) = METADATA.findall(page)
    (metadata / 'entry_points.txt').write_text(f'[{group}]\n{lines.replace(chr(34), "")}')
    recorded = ROOT / 'tests' / 'fixtures' / 'training' / 'least_squares'
    shutil.copytree(recorded, tmp_path / 'tests' / 'fixtures' / 'training' / 'least_squares')
    return tmp_path


def run(package: Path, *arguments: str) -> str:
    """Run Python where the package can be imported, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env={**os.environ, 'PYTHONPATH': str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_architecture_of_the_page_passes_the_conformance_tests(package):
    report = run(
        package, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-c', os.devnull, 'tests/test_least_squares.py'
    )
    assert re.search(r'\d\d passed', report)


def test_architecture_of_the_page_is_known_by_its_name(package):
    program = (
        'from aiida_edl.registry import ARCHITECTURES, load_member; '
        'from aiida_edl.workflows.launch import benchmark_settings; '
        'print(load_member(ARCHITECTURES, "least_squares").__module__, '
        'benchmark_settings(architectures=["mace", "least_squares"])["architectures"]["least_squares"]["protocol"])'
    )
    assert run(package, '-c', program).split() == ['my_package.least_squares', 'fast']


def test_no_file_of_this_package_knows_the_architecture_of_the_page():
    knowing = [path for path in (ROOT / 'aiida_edl').rglob('*.*') if path.suffix in {'.py', '.yaml'}]
    assert [path.name for path in knowing if 'least_squares' in path.read_text(encoding='utf-8')] == []
