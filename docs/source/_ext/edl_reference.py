"""Directives that render the reference manual from the package: what the code knows is not written a second time.

======================  ============================================================================================
``edl-processes``       ports and exit codes of all processes of an entry-point group; argument: the group
``edl-exit-codes``      every exit code of every process, in one table
``edl-architectures``   architectures: what to cite, hyperparameters, protocols
``edl-formats``         formats of data sets: what they hold, their units and options
``edl-pairs``           which MD engine can run which architecture
``edl-fields``          fields of a dataclass with defaults and meanings; argument: its dotted path
``edl-keys``            attributes of a node type; argument: its dotted path
``edl-protocols``       protocols of a work chain; argument: its entry point
``edl-functions``       public functions of a module; argument: its dotted path
``edl-modules``         modules of a package, one line each; argument: its dotted path
``edl-commands``        the command line
======================  ============================================================================================
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import click
import yaml
from aiida.engine import is_process_function
from aiida.manage.configuration import load_profile
from aiida.storage.sqlite_temp import SqliteTempBackend
from docutils import nodes
from edl_markup import attribute_docstrings, field_rows, first_sentence, prose, table
from edl_ports import exit_code_rows, input_rows, output_rows
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from aiida_edl.architectures.protocols import protocol_document
from aiida_edl.calculations.exit_codes import EXIT_CODES
from aiida_edl.registry import ARCHITECTURES, DATASET_FORMATS, MD_ENGINES, load_member, registered_names

PREFIX = 'edl.'
CACHED = 'aiida.calculations'
GROUPS = (CACHED, 'aiida.workflows')


def load(path: str) -> Any:
    """Return the object at a dotted path.

    :param path: module, or module and attribute.
    :raises ImportError: if there is no such thing.
    """
    try:
        return import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition('.')
        return getattr(import_module(module), name)


def processes(group: str) -> Iterator[tuple[str, Any]]:
    """Yield name and process class of the entry points of this package in a group."""
    for entry_point in sorted(entry_points(group=group), key=lambda item: item.name):
        if entry_point.name.startswith(PREFIX):
            loaded = entry_point.load()
            yield entry_point.name, loaded.process_class if is_process_function(loaded) else loaded


class ReferenceDirective(SphinxDirective):
    """Base: a directive that makes nodes of live objects."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the rendered nodes."""
        self.env.note_reread()
        return list(self.render(self.arguments[0] if self.arguments else ''))

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield the nodes.

        :param argument: the argument of the directive.
        """
        raise NotImplementedError

    def section(self, title: str, *content: nodes.Node) -> nodes.section:
        """Return a section that can be linked to.

        :param title: heading; it is shown as code.
        :param content: what the section holds.
        """
        section = nodes.section(ids=[nodes.make_id(title)], names=[nodes.fully_normalize_name(title)])
        section += nodes.title('', '', nodes.literal(text=title))
        section.extend(content)
        self.state.document.note_implicit_target(section, section)
        return section


class Processes(ReferenceDirective):
    """Ports and exit codes of the processes of a group."""

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield a section for each process."""
        for name, process in processes(argument):
            spec = process.spec()
            section = self.section(name, *prose(inspect.getdoc(process) or ''))
            for caption, header, rows in (
                ('Inputs', ('port', 'type', 'default', 'meaning'), input_rows(spec.inputs)),
                ('Outputs', ('port', 'type', 'meaning'), output_rows(spec.outputs)),
                ('Exit codes', ('status', 'name', 'message', 'reused'), exit_code_rows(spec, argument == CACHED)),
            ):
                if rows:
                    section += table(header, rows, caption)
            yield section


class ExitCodes(ReferenceDirective):
    """All exit codes in one table."""

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield the table, sorted by status; codes of the shared table say when they are set."""
        shared = {f'``{code.label}``': code.when for code in EXIT_CODES}
        users: dict[tuple[str, ...], list[str]] = {}
        for group in GROUPS:
            for name, process in processes(group):
                for row in exit_code_rows(process.spec(), group == CACHED):
                    users.setdefault(row, []).append(f'``{name}``')
        rows = [
            (*row, shared.get(row[1], ''), ', '.join(sorted(set(names))))
            for row, names in sorted(users.items(), key=_by_status)
        ]
        yield table(('status', 'name', 'message', 'reused', 'when', 'processes'), rows)


def _by_status(item: tuple[tuple[str, ...], list[str]]) -> tuple[int, str]:
    return int(item[0][0]), item[0][1]


class Architectures(ReferenceDirective):
    """What is known of each architecture."""

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield a section for each architecture."""
        for name in registered_names(ARCHITECTURES):
            member = load_member(ARCHITECTURES, name)
            section = self.section(name, *prose(inspect.getdoc(type(member)) or ''))
            section += prose(f'Install the environment of its code with ``{member.install_command}``.')
            cite = nodes.bullet_list()
            for reference in member.references:
                doi = f', doi:{reference.doi}' if reference.doi else ''
                cite += nodes.list_item('', *prose(f'{reference.authors}, {reference.title} ({reference.year}){doi}'))
            section += [*prose('To be cited:'), cite]
            section += table(
                ('name', 'default', 'meaning'), field_rows(member.hyperparameters_class), 'Hyperparameters'
            )
            for protocol, values in protocol_document(member)['protocols'].items():
                rows = [
                    (f'``{key}``', f'``{entry["value"]!r}``', str(entry['source']))
                    for key, entry in {**values['training'], **values['hyperparameters']}.items()
                ]
                section += prose(f'Protocol ``{protocol}``: {values["description"]}')
                if rows:
                    section += table(('name', 'value', 'source'), rows)
            yield section


class Formats(ReferenceDirective):
    """What is known of each format of data sets."""

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield a table of all, then a section for each with its options."""
        members = [load_member(DATASET_FORMATS, name) for name in registered_names(DATASET_FORMATS)]
        rows = [
            (
                f'``{member.name}``',
                member.title,
                'yes' if member.write_options_class is not None else 'no',
                ', '.join(member.held_labels) or 'none',
                'yes' if member.holds_columns else 'no',
                member.precision,
            )
            for member in members
        ]
        yield table(('format', 'what it is', 'written', 'labels', 'columns', 'precision'), rows)
        for member in members:
            section = self.section(member.name, *prose(inspect.getdoc(type(member)) or ''))
            section += prose(f'Units: {member.unit_convention}.')
            for action, owner in (('read', member.read_options_class), ('write', member.write_options_class)):
                if owner is not None and (options := field_rows(owner)):
                    section += table(('name', 'default', 'meaning'), options, f'Options to {action}')
            yield section


class Pairs(ReferenceDirective):
    """Which engine runs what."""

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield the table."""
        engines = registered_names(MD_ENGINES)
        rows = []
        for name in registered_names(ARCHITECTURES):
            bindings = load_member(ARCHITECTURES, name).bindings
            rows.append((f'``{name}``', *('yes' if engine in bindings else 'no' for engine in engines)))
        kinds = [load_member(MD_ENGINES, engine).code_kind for engine in engines]
        rows.append(('*kind of code*', *kinds))
        yield table(('architecture', *(f'``{engine}``' for engine in engines)), rows)


class Fields(ReferenceDirective):
    """Fields of a dataclass."""

    required_arguments = 1
    optional_arguments = 0

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield the description and the table."""
        owner = load(argument)
        yield self.section(
            owner.__name__,
            *prose(inspect.getdoc(owner) or ''),
            table(('name', 'default', 'meaning'), field_rows(owner)),
        )


class Keys(ReferenceDirective):
    """Attributes of a node type: the class variables ``KEY_...``."""

    required_arguments = 1
    optional_arguments = 0

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield the description and the table."""
        owner = load(argument)
        documented = attribute_docstrings(owner)
        rows = [
            (f'``{getattr(owner, key)}``', documented.get(key, '')) for key in vars(owner) if key.startswith('KEY_')
        ]
        content = [*prose(inspect.getdoc(owner) or ''), table(('attribute', 'meaning'), rows)]
        yield self.section(owner.__name__, *content)


class Protocols(ReferenceDirective):
    """Protocols of a work chain."""

    required_arguments = 1
    optional_arguments = 0

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield descriptions and all values of each protocol."""
        process = dict(processes('aiida.workflows'))[argument]
        default = process.get_default_protocol()
        for name, description in process.get_available_protocols().items():
            text = yaml.safe_dump(
                process.get_protocol_inputs(name), sort_keys=False, default_flow_style=None, width=100
            )
            is_default = ' This is the default.' if name == default else ''
            block = nodes.literal_block(text, text, language='yaml')
            title = f'{argument.removeprefix(PREFIX)} {name}'
            yield self.section(title, *prose(description + is_default), block)


class Functions(ReferenceDirective):
    """Public functions of a module."""

    required_arguments = 1
    optional_arguments = 0

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield a section for each function."""
        module = load(argument)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith('_') or function.__module__ != module.__name__:
                continue
            call = f'{name}({", ".join(inspect.signature(function).parameters)})'
            yield self.section(name, nodes.literal_block(call, call), *prose(inspect.getdoc(function) or ''))


class Modules(ReferenceDirective):
    """Modules of a package."""

    required_arguments = 1
    optional_arguments = 0

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield the table of modules and what they are for; programs of other environments are read, not imported."""
        package = load(argument)
        rows = []
        for module in pkgutil.walk_packages(package.__path__, argument + '.'):
            if not module.ispkg and not module.name.rpartition('.')[2].startswith('_'):
                source = Path(find_spec(module.name).origin).read_text()
                rows.append((f'``{module.name}``', first_sentence(ast.get_docstring(ast.parse(source)) or '')))
        yield table(('module', 'what it is'), rows)


class Commands(ReferenceDirective):
    """The command line, command by command."""

    hidden: ClassVar[tuple[str, ...]] = ('help',)

    def render(self, argument: str) -> Iterator[nodes.Node]:
        """Yield a section for each command."""
        (entry_point,) = entry_points(group='console_scripts', name='aiida-edl')
        yield from self.render_command(entry_point.load(), click.Context(entry_point.load(), info_name='aiida-edl'))

    def render_command(self, command: Any, context: Any) -> Iterator[nodes.Node]:
        """Yield a section for a command and those below it."""
        section = self.section(context.command_path, *prose(inspect.cleandoc(command.help or '')))
        rows = []
        for parameter in command.get_params(context):
            if parameter.name in self.hidden:
                continue
            if isinstance(parameter, click.Option):
                default = 'required' if parameter.required else _shown(parameter.default)
                rows.append((f'``{", ".join(parameter.opts)}``', default, parameter.help or ''))
            else:
                rows.append((f'``{parameter.make_metavar(context)}``', 'required' if parameter.required else '', ''))
        if rows:
            section += table(('parameter', 'default', 'meaning'), rows)
        yield section
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None and not child.hidden:
                    yield from self.render_command(child, click.Context(child, info_name=name, parent=context))


def _shown(default: Any) -> str:
    """Return a default as text; nothing for those that say nothing."""
    if default in (None, '', ()) or callable(default) or type(default).__name__ == 'Sentinel':
        return ''
    return f'``{default}``'


def load_storage(_: Sphinx) -> None:
    """Load a profile in memory: defaults of ports are nodes, and a node needs a storage."""
    load_profile(SqliteTempBackend.create_profile('docs', debug=False), allow_switch=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    for name, directive in {
        'edl-processes': Processes,
        'edl-exit-codes': ExitCodes,
        'edl-architectures': Architectures,
        'edl-formats': Formats,
        'edl-pairs': Pairs,
        'edl-fields': Fields,
        'edl-keys': Keys,
        'edl-protocols': Protocols,
        'edl-functions': Functions,
        'edl-modules': Modules,
        'edl-commands': Commands,
    }.items():
        app.add_directive(name, directive)
    app.connect('builder-inited', load_storage)
    return {'parallel_read_safe': False, 'parallel_write_safe': True}
