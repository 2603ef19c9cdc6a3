"""Label frames with the classical reference model, all of them in one run of LAMMPS."""

from __future__ import annotations

from typing import Any

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import AbstractCode, ArrayData, Dict

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.calculations import exit_codes, jobs
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.single_point import SinglePointCalculation
from aiida_edl.md_engines import electrode_labels
from aiida_edl.md_engines.electrode import ElectrodeEngine
from aiida_edl.science.reference_model import ReferenceModel, ReferenceModelError

STDOUT = 'lammps.out'


def validate_model_parameters(value: Dict | None, _: Any) -> str | None:
    """Return one sentence if a model parameter is unknown or out of range."""
    if value is None:
        return None
    try:
        ReferenceModel.from_dict(value.get_dict())
    except ReferenceModelError as error:
        return str(error)
    return None


def validate_code(value: AbstractCode | None, _: Any) -> str | None:
    """Return one sentence if the code is not LAMMPS."""
    if value is None:
        return None
    return validate_code_kind(value, 'lammps', 'the reference model', ElectrodeEngine.install_command)


class ElectrodeCalculation(SinglePointCalculation):
    """Label frames with the classical reference model: a metal at fixed total charge beside water and ions.

    The metal carries minus the charge of the ions, or what the column ``metal_charge`` says; then a uniform sheet of
    counter charge lies in the vacuum above, see ``science/counter_sheet.py``. Frames may differ in composition and
    cell. A frame that the model cannot describe, for example one with a broken water molecule, is listed with the
    reason; the rest is labelled.
    """

    PARSER_NAME = 'edl.single_point.electrode'
    EXIT_CODES = (
        exit_codes.OUTPUT_MISSING,
        exit_codes.OUTPUT_UNREADABLE,
        exit_codes.LOG_INCOMPLETE,
        exit_codes.OUT_OF_MEMORY,
        exit_codes.NO_FRAME_CONVERGED,
    )

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Define ports."""
        super().define(spec)
        spec.inputs['code'].validator = validate_code
        spec.input(
            'model_parameters',
            valid_type=Dict,
            default=lambda: Dict({}),
            validator=validate_model_parameters,
            help='Parameters of the force field that differ from the defaults of `ReferenceModel`.',
        )
        spec.output(
            'labels',
            valid_type=ArrayData,
            help='energies [eV], forces [eV/Å], charges [e], metal_potential as LAMMPS reports it [V], offsets, '
            'converged; if the metal of a frame carries another charge than the ions leave it (column `metal_charge`), '
            'electrode_potential over the sheet of counter charge [V]. NaN in the rows of a frame that failed.',
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write one input script, and a data file and a dump for each group of frames."""
        frames = self.inputs.dataset.frames()
        model = ReferenceModel.from_dict(self.inputs.model_parameters.get_dict())
        plan = electrode_labels.plan_labels(frames)
        job = jobs.JobFiles(
            files=electrode_labels.label_files(frames, model, plan),
            derived=electrode_labels.derived_files(plan),
            retrieval=Retrieval(keep=(electrode_labels.LOG, STDOUT), parse_only=(electrode_labels.LABELS,)),
        )
        return self.stage_executable(folder, job, Command(electrode_labels.ARGUMENTS, STDOUT))
