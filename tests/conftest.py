"""Fixtures of all tests; those below the AiiDA line do not touch a profile."""

from __future__ import annotations

pytest_plugins = ['aiida.tools.pytest_fixtures']
