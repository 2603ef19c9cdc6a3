"""Labels less the electrostatics of fixed charges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aiida_edl.science.electrostatics.charged_system import ChargedSystemError
from aiida_edl.science.electrostatics.compiled_summation import CompiledSummation
from aiida_edl.science.electrostatics.long_range_model import LongRangeModel, LongRangeModelError
from aiida_edl.science.electrostatics.summation_settings import SummationSettings
from aiida_edl.science.frames import FrameSet


def subtract_electrostatics(frames: FrameSet, model: LongRangeModel) -> FrameSet:
    """Return frames whose energies, forces and stresses are those of the labels less those of the charges.

    :param frames: labelled frames; what they lack stays absent.
    :param model: the charges.
    :raises LongRangeModelError: if a frame does not go with the charges; it is named.
    """
    sums: dict[SummationSettings, CompiledSummation] = {}
    energies, forces, stresses = [], [], []
    for index in range(len(frames)):
        try:
            frame = frames.frame(index)
            system, frame_volume = model.system_of(frame), abs(float(np.linalg.det(frame.cell)))
            settings = model.settings_for(system.cell)
            if settings not in sums:
                sums[settings] = CompiledSummation(settings)
            result = sums[settings](system)
        except (ChargedSystemError, LongRangeModelError) as error:
            raise LongRangeModelError(f'frame {index}: {error}') from error
        energies.append(result.energy)
        forces.append(result.forces)
        # the stress of a frame is by its own volume, also where a film is summed in a longer cell
        stresses.append(result.stress * system.volume / frame_volume if frame_volume > 0.0 else result.stress)
    changes = {}
    if frames.energies is not None:
        changes['energies'] = frames.energies - np.array(energies)
    if frames.forces is not None:
        changes['forces'] = frames.forces - np.concatenate(forces)
    if frames.stresses is not None:
        changes['stresses'] = frames.stresses - np.array(stresses)
    return replace(frames, **changes)
