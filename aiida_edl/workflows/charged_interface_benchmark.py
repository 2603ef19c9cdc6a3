"""Can one potential serve all surface charges, or must one be trained for each charge state?"""

from __future__ import annotations

from typing import Any

from aiida.engine import WorkChain, while_
from aiida.orm import AbstractCode, ArrayData, Dict, Int

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.workflows.benchmark_assessments import BenchmarkAssessmentsMixin
from aiida_edl.workflows.benchmark_codes import validate_codes
from aiida_edl.workflows.benchmark_comparison import BenchmarkComparisonMixin
from aiida_edl.workflows.benchmark_settings import validate_settings
from aiida_edl.workflows.protocols.mixin import ProtocolMixin
from aiida_edl.workflows.submission import validate_max_active


class ChargedInterfaceBenchmarkWorkChain(BenchmarkComparisonMixin, BenchmarkAssessmentsMixin, ProtocolMixin, WorkChain):
    """Compare potentials trained on one charge state with potentials trained on all, against reference dynamics.

    For each charge state an interface is built and run with the reference model; frames of these trajectories are
    labelled; every architecture is trained on every training set with every seed to the same number of gradient
    updates; each potential is tested on the same frames of all charge states and run at the charge states of its
    training set; the profiles of all runs are compared with each other and with the reference.
    """

    protocol_file = 'charged_interface_benchmark.yaml'
    replaced_whole = ('training_sets', 'hyperparameters')

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.input(
            'settings', valid_type=Dict, validator=validate_settings, help='The whole matrix; see the protocols.'
        )
        spec.input_namespace(
            'codes',
            valid_type=AbstractCode,
            dynamic=True,
            help='Code of the reference model (`reference`) and of each architecture, by name; `<architecture>_md` is '
            'the code of its runs, if it is not that of its training; `conversion_<environment>` converts potentials. '
            'Codes of given potentials have their names.',
        )
        cls.define_given(spec)
        spec.input('options', valid_type=Dict, required=False, help='Scheduler options by name of the code.')
        spec.input(
            'max_active',
            valid_type=Int,
            required=False,
            validator=validate_max_active,
            help='How many models are assessed at once at most; all without it.',
        )
        spec.inputs.validator = validate_codes
        spec.output(
            'charge_states', valid_type=Dict, help='Ions, metal charge [e] and surface charge [µC/cm²] of each state.'
        )
        spec.output('dataset', valid_type=DatasetData, help='All labelled frames.')
        cls.define_comparison(spec)
        spec.output_namespace('rejected', valid_type=Dict, dynamic=True, help='Rejected labels by charge label.')
        spec.output_namespace('splits', valid_type=ArrayData, dynamic=True, help='Frame indices by training set.')
        spec.output_namespace('potentials', valid_type=PotentialData, dynamic=True, help='Potentials by model.')
        spec.output_namespace('errors', valid_type=Dict, dynamic=True, help='Errors on the test frames by model.')
        spec.output_namespace(
            'errors_over_size',
            valid_type=ArrayData,
            dynamic=True,
            help='Errors against the size of the training set, by architecture and training set.',
        )
        spec.output_namespace(
            'profiles', valid_type=ArrayData, dynamic=True, help='Profiles by model and charge label.'
        )
        spec.output_namespace(
            'analyses',
            valid_type=(ArrayData, Dict),
            dynamic=True,
            help='Further analyses by name, then by model and charge label.',
        )
        spec.outline(
            cls.build_structures,
            cls.run_reference,
            cls.label_frames,
            cls.assemble_dataset,
            while_(cls.has_models_left)(cls.assess_potentials),
            cls.collect_assessments,
            cls.compare_models,
        )
        spec.exit_code(
            461, 'ERROR_STRUCTURE_NOT_BUILT', message='The interface of charge label {label} was not built: {detail}'
        )
        spec.exit_code(462, 'ERROR_LABELS_NOT_USABLE', message='The labels cannot be used together: {failures}')
        spec.exit_code(511, 'ERROR_NO_PROFILE', message='No potential gave a profile; failures: {failures}')
        spec.exit_code(512, 'ERROR_NO_REFERENCE', message='No charge state is left; failures: {failures}')
        spec.exit_code(513, 'ERROR_NO_TRAINING_SET', message='No training set can be filled; failures: {failures}')
        spec.exit_code(700, 'WARNING_PARTS_FAILED', message='The comparison lacks parts that failed: {failures}')
