"""Configuration of the manual. The reference part is rendered from the package, see ``_ext/edl_reference.py``."""

import os
import sys
import tempfile
from pathlib import Path

# AiiDA looks for its configuration as soon as it is imported: give it an empty one, never that of the reader.
_configuration = Path(tempfile.mkdtemp(prefix='aiida-edl-docs-'))
(_configuration / '.aiida').mkdir()
os.environ['AIIDA_PATH'] = str(_configuration)
sys.path.insert(0, str(Path(__file__).parent / '_ext'))

import aiida_edl  # noqa: E402  (after the configuration is set)

project = 'aiida-edl'
author = 'The aiida-edl developers'
copyright = '2026, The aiida-edl developers'  # noqa: A001  (the name Sphinx reads)
version = release = aiida_edl.__version__

extensions = ['myst_parser', 'edl_reference']
myst_enable_extensions = ['deflist', 'dollarmath']
myst_heading_anchors = 3
nitpicky = True
exclude_patterns = ['studies/*/report.md']  # included by a page

html_theme = 'furo'
html_title = f'aiida-edl {release}'
