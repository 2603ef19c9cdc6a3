"""Which codes a benchmark needs, and whether they are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_edl.registry import ARCHITECTURES, MD_ENGINES, load_member
from aiida_edl.workflows.benchmark_given import codes_of_given, validate_given
from aiida_edl.workflows.benchmark_settings import (
    BenchmarkSettings,
    conversion_code_name,
    conversion_environments_of,
    md_code_name,
    validate_settings,
)


def validate_codes(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if a given potential cannot be used, or a code is missing or not needed."""
    if 'settings' not in inputs or 'codes' not in inputs or validate_settings(inputs['settings'], None):
        return None  # their ports say so
    settings = BenchmarkSettings.from_dict(inputs['settings'].get_dict())
    architectures = settings.architectures
    conversions = {
        conversion_code_name(environment): environment
        for name in architectures
        for environment in conversion_environments_of(settings, name)
    }
    potentials = inputs.get('given_potentials') or {}
    if message := validate_given(potentials, settings):
        return message
    of_given, optional_of_given = codes_of_given(potentials, settings)
    needed = {'reference', *architectures, *conversions, *of_given}
    if missing := sorted(needed - set(inputs['codes'])):
        commands = {
            name: load_member(ARCHITECTURES, settings.architecture_of(name)).install_command
            for name in missing
            if name in architectures
        }
        commands |= {name: of_given[name] for name in missing if name in of_given}
        commands |= {
            name: f'aiida-edl environment create {conversions[name]}' for name in missing if name in conversions
        }
        hints = '; '.join(f'{name}: {command}' for name, command in sorted(commands.items()))
        return f'no code is given for {", ".join(missing)}{"; install with " + hints if hints else ""}'
    for name in architectures:
        engine = load_member(MD_ENGINES, settings.md_engine(name))
        if engine.code_kind != 'python' and md_code_name(name) not in inputs['codes']:
            return (
                f"{name} is run by engine '{engine.name}', which needs a code of its own: give {md_code_name(name)}; "
                f'install it with: {engine.install_command}'
            )
    optional = {*(md_code_name(name) for name in architectures), *optional_of_given}
    if extra := sorted(set(inputs['codes']) - needed - optional):
        return f'codes {", ".join(extra)} are given, but only {", ".join(sorted(needed))} are used'
    return None
