"""Label frames with CP2K: one run of the program for each frame, many of them in a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import AbstractCode, ArrayData, Dict, List

from aiida_edl.architectures.base import Command, Retrieval
from aiida_edl.calculations import exit_codes, jobs
from aiida_edl.calculations.base import validate_code_kind
from aiida_edl.calculations.single_point import SinglePointCalculation
from aiida_edl.dft.cp2k_input import input_text
from aiida_edl.dft.cp2k_settings import Cp2kSettings, Cp2kSettingsError, check_frame

INSTALL_COMMAND = 'apt-get install cp2k cp2k-data'
OUTPUTS = 'frame_*.out'
"""Outputs of all frames."""
POTENTIALS = 'frame_*.cube'
"""Potentials of all films."""
FAILURES = 'failures'
"""Attribute of a checkpoint: reason by index of each frame that was run and has no label."""


def frame_name(index: int) -> str:
    """Return how the files of a frame begin.

    >>> frame_name(12)
    'frame_00012'
    """
    return f'frame_{index:05d}'


def validate_model_parameters(value: Dict | None, _: Any) -> str | None:
    """Return one sentence if a setting is unknown or out of range."""
    if value is None:
        return None
    try:
        Cp2kSettings.from_dict(value.get_dict())
    except Cp2kSettingsError as error:
        return str(error)
    return None


def validate_code(value: AbstractCode | None, _: Any) -> str | None:
    """Return one sentence if the code is not CP2K."""
    return None if value is None else validate_code_kind(value, 'cp2k', 'labels by CP2K', INSTALL_COMMAND)


def known_failures(inputs: Any) -> dict[int, str]:
    """Return the reasons of frames that a job does not run, by index: CP2K could not compute them, or did in vain.

    Labels of a job that came to its end carry no reasons as a checkpoint, so that frames without a label are run again.

    :param inputs: validated inputs of :class:`Cp2kCalculation`.
    """
    settings = Cp2kSettings.from_dict(inputs['model_parameters'].get_dict())
    reasons = {}
    for index, frame in enumerate(inputs['dataset'].frames()):
        try:
            check_frame(frame, settings)
        except Cp2kSettingsError as error:
            reasons[index] = str(error)
    if 'checkpoint' in inputs:
        stored = inputs['checkpoint'].base.attributes.get(FAILURES, {})
        reasons |= {int(index): str(reason) for index, reason in stored.items()}
    return reasons


def frames_to_run(inputs: Any, failures: Mapping[int, str]) -> list[int]:
    """Return the frames that a job computes: all that have neither a label nor failed.

    :param inputs: validated inputs of :class:`Cp2kCalculation`.
    :param failures: result of :func:`known_failures`.
    """
    is_done = np.zeros(inputs['dataset'].n_frames, dtype=bool)
    if 'checkpoint' in inputs:
        is_done = inputs['checkpoint'].get_array('converged').astype(bool)
    return [index for index in np.flatnonzero(~is_done).tolist() if index not in failures]


class Cp2kCalculation(SinglePointCalculation):
    """Label frames with CP2K. Frames may differ in everything; one that fails costs no other its label.

    Each frame begins from atomic densities, so that its label does not depend on the frames around it.
    """

    PARSER_NAME = 'edl.single_point.cp2k'
    EXIT_CODES = (
        exit_codes.OUTPUT_MISSING,
        exit_codes.LOG_INCOMPLETE,
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
            help='Settings that differ from the defaults of `Cp2kSettings`.',
        )
        spec.input(
            'checkpoint', valid_type=ArrayData, required=False, help='Labels so far; only frames that lack one are run.'
        )
        spec.input('remedies', valid_type=List, required=False, help='What handlers changed before this calculation.')
        spec.output(
            'labels',
            valid_type=ArrayData,
            help='energies [eV], forces [eV/Å], stresses [eV/Å³, positive in tension], charges [e, Mulliken], '
            'fermi_level [eV], dispersion_energies [eV], n_electrons, expected_electrons, n_scf_steps, '
            'maximum_scf_steps, offsets, converged; of films potential_profiles, the planar average of the potential '
            'energy of an electron [eV] at potential_heights [Å], and below and above the film vacuum_levels [eV] and '
            'vacuum_fields [V/Å]; NaN in the rows of a frame that failed.',
        )
        spec.output('checkpoint', valid_type=ArrayData, required=False, help='The labels of an interrupted run.')

    @classmethod
    def validate(cls, inputs: Mapping[str, Any]) -> str | None:
        """Return one sentence if a column is missing, or a checkpoint is of other frames."""
        settings = Cp2kSettings.from_dict(inputs['model_parameters'].get_dict())
        frames, column = inputs['dataset'].frames(), settings.total_charge_column
        if column is not None and column not in frames.columns:
            there = ', '.join(sorted(frames.columns)) or 'none'
            return f"total_charge_column is '{column}', but the frames have the columns: {there}"
        checkpoint = inputs.get('checkpoint')
        if checkpoint is not None and not np.array_equal(checkpoint.get_array('offsets'), frames.offsets):
            return 'the checkpoint holds labels of other frames; leave it out to label all of them'
        return None

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write one input file for each frame."""
        settings = Cp2kSettings.from_dict(self.inputs.model_parameters.get_dict())
        frames = self.inputs.dataset.frames()
        indices = frames_to_run(self.inputs, known_failures(self.inputs))
        texts = {f'{frame_name(i)}.inp': input_text(frames.frame(i), settings, frame_name(i)) for i in indices}
        job = jobs.JobFiles(
            files={name: text.encode() for name, text in texts.items()},
            derived=tuple(texts)[1:],  # the first is kept: it shows the settings as CP2K reads them
            retrieval=Retrieval(keep=(), parse_only=(OUTPUTS, POTENTIALS)),
        )
        commands = [Command(('-i', f'{frame_name(i)}.inp'), f'{frame_name(i)}.out') for i in indices]
        return self.stage_executable(folder, job, *commands)
