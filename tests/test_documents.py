"""What the documents say is so: commands exist, versions agree, links lead somewhere, nothing names a machine."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
import yaml

import aiida_edl

ROOT = Path(__file__).parents[1]
MACHINE_PATH = re.compile(r'(?<![\w.])/(?!home/jane\b)(?:work|root|home|Users)/\w')
"""A path that tells about a person or a machine; Jane is nobody, she serves as an example."""
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('examples/**/*.md'), *ROOT.glob('docs/source/**/*.md')])
SCRIPTS = sorted(ROOT.glob('examples/*/*.sh'))
MADE_BY_TOOLS = re.compile(r'(^|/)(\.(?!ci/)|results/|build/|dist/|__pycache__/|[^/]*\.egg-info/)')
MAY_NAME_PATHS = ('tests/provenance/', 'tests/test_documents.py')
"""What tests the search for such paths."""


def page_id(page: Path) -> str:
    """Return the name of a page in test reports."""
    return str(page.relative_to(ROOT))


def project_files() -> list[Path]:
    """Return the files under version control; outside of a git checkout, those not made by a tool."""
    command = ['git', '-C', str(ROOT), 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split('\0') if name and (ROOT / name).is_file()]
    found = (path.relative_to(ROOT) for path in ROOT.rglob('*') if path.is_file())
    return [ROOT / path for path in found if not MADE_BY_TOOLS.search(path.as_posix())]


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_make_targets_exist(page):
    targets = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), flags=re.MULTILINE))
    named = set(re.findall(r'(?:^|`)make ([a-z][a-z-]*)', page.read_text(), flags=re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize('text', [PAGES, SCRIPTS], ids=['pages', 'scripts'])
def test_commands_exist(text):
    """Every `aiida-edl group command` that is named can be called."""
    (entry_point,) = entry_points(group='console_scripts', name='aiida-edl')
    main = entry_point.load()
    missing = []
    for words in re.findall(
        r'(?:^ *|`)aiida-edl((?: [a-z][a-z-]*)+)', '\n'.join(p.read_text() for p in text), re.MULTILINE
    ):
        command = main
        for word in words.split():
            if isinstance(command, click.Group):
                command = command.commands.get(word)
        if command is None:
            missing.append(words)
    assert missing == []


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_files_named_in_pages_exist(page):
    """Paths below the top folders, in code, as link targets or as pages of the manual."""
    text = page.read_text()
    named = re.findall(r'`((?:aiida_edl|tests|docs|examples)/[\w./-]+)`', text)
    missing = [name for name in named if not (ROOT / name).exists()]
    links = re.findall(r'\]\(([\w./-]+)\)', text) + [f'{p}.*' for p in re.findall(r'\{doc\}`([\w./-]+)`', text)]
    missing += [link for link in links if not list(page.parent.glob(link))]
    assert missing == []


def test_readme_starts_with_the_two_commands():
    blocks = re.findall(r'^```\n(.*?)\n```', (ROOT / 'README.md').read_text(), flags=re.MULTILINE | re.DOTALL)
    assert blocks[:2] == ['make demo', 'make test']


def test_readme_python_runs():
    (block,) = re.findall(r'^```python\n(.*?)\n```', (ROOT / 'README.md').read_text(), flags=re.MULTILINE | re.DOTALL)
    exec(compile(block, 'README.md', 'exec'), {})


def test_top_of_changelog_is_unreleased():
    headings = re.findall(r'^## (.*)$', (ROOT / 'CHANGELOG.md').read_text(), flags=re.MULTILINE)
    assert headings[0] == '[Unreleased]'


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == aiida_edl.__version__


def test_citation_has_the_licence():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert (ROOT / 'LICENSE').read_text().startswith(f'{citation["license"]} License')


def test_no_file_names_a_path_of_a_machine():
    found = []
    for path in project_files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(MAY_NAME_PATHS):
            continue
        try:
            text = path.read_text(encoding='utf-8')
        except UnicodeDecodeError:
            text = path.read_bytes().decode('latin-1')
        found += [f'{name}: {match.group()}' for match in MACHINE_PATH.finditer(text)]
    assert found == []


def test_every_page_of_the_manual_is_in_its_contents():
    source = ROOT / 'docs/source'
    listed = set(
        re.findall(
            r'^((?:tutorials|studies|howto|topics|reference)/\w+)$', (source / 'index.md').read_text(), flags=re.M
        )
    )
    pages = {
        p.relative_to(source).with_suffix('').as_posix() for p in source.rglob('*.*') if p.suffix in ('.md', '.rst')
    }
    included = {page for page in pages if re.fullmatch(r'studies/\w+/report', page)}
    assert pages - {'index'} - included == listed
