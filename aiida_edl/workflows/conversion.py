"""Convert a potential into another format, by as many steps as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ToContext, WorkChain, while_
from aiida.orm import AbstractCode, Str

from aiida_edl.calculations.conversion import (
    ConversionCalculation,
    conversions_of,
    formats_between,
    validate_conversion,
)
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.submission import SubmitOnceMixin


def validate_chain(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return one sentence if there is no way to the target format, or an environment on the way has no code."""
    if not {'potential', 'target_format'} <= set(inputs):
        return None
    potential, target = inputs['potential'], inputs['target_format'].value
    if message := validate_conversion(potential, target):
        return message
    given = sorted(inputs.get('codes') or {})
    for name in formats_between(potential, target):
        step = conversions_of(potential)[name]
        if step.environment not in given:
            return (
                f"the conversion into '{name}' runs in the environment '{step.environment}', codes are given for "
                f'{", ".join(given) or "none"}; give codes.{step.environment}, a Python interpreter that you get by: '
                f'{step.install_command}'
            )
    return None


class ConversionWorkChain(SubmitOnceMixin, WorkChain):
    """Convert one potential; each step runs in the environment that its programs need."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='The potential.')
        spec.input('target_format', valid_type=Str, help='Format in which it is wanted.')
        spec.input_namespace(
            'codes',
            dynamic=True,
            valid_type=AbstractCode,
            required=False,
            help='Python interpreter of each environment that is needed, by the name of the environment.',
        )
        spec.expose_inputs(
            ConversionCalculation, namespace='conversion', exclude=('potential', 'target_format', 'code')
        )
        spec.inputs.validator = validate_chain
        spec.outline(
            cls.setup,
            while_(cls.is_to_be_converted)(cls.convert, cls.inspect),
            cls.results,
        )
        spec.output('potential', valid_type=PotentialData, help='The potential in the target format.')
        spec.exit_code(
            510,
            'ERROR_CONVERSION_FAILED',
            message='the conversion into {target} failed with exit status {status}: {why}',
        )

    def setup(self) -> None:
        """Find the formats on the way."""
        self.ctx.potential = self.inputs.potential
        self.ctx.formats = formats_between(self.inputs.potential, self.inputs.target_format.value)
        self.ctx.n_done = 0

    def is_to_be_converted(self) -> bool:
        """Return whether a step is left."""
        return self.ctx.n_done < len(self.ctx.formats)

    def convert(self) -> Any:
        """Make one step."""
        target = self.ctx.formats[self.ctx.n_done]
        inputs = self.exposed_inputs(ConversionCalculation, 'conversion')
        inputs['metadata'] = {**inputs.get('metadata', {}), 'call_link_label': f'step_{self.ctx.n_done + 1:02d}'}
        environment = conversions_of(self.inputs.potential)[target].environment
        child = self.submit(
            ConversionCalculation,
            code=self.inputs.codes[environment],
            potential=self.ctx.potential,
            target_format=Str(target),
            **inputs,
        )
        self.report(f'converting into {target} in the environment {environment}: <{child.pk}>')
        return ToContext(child=child)

    def inspect(self) -> ExitCode | None:
        """Take the potential of the step, or end with its failure."""
        child = self.ctx.child
        if not child.is_finished_ok:
            exit_code: ExitCode = self.exit_codes.ERROR_CONVERSION_FAILED
            target = self.ctx.formats[self.ctx.n_done]
            return exit_code.format(target=target, status=child.exit_status, why=child.exit_message)
        self.ctx.potential = child.outputs.potential
        self.ctx.n_done += 1
        return None

    def results(self) -> None:
        """Attach the potential; it is the given one if that has the format already."""
        self.out('potential', self.ctx.potential)
