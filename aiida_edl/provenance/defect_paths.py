"""Where the defects of a crystal went in the runs of a diffusion assessment, and what moved them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiida.common.links import LinkType
from aiida.orm import ArrayData, ProcessNode, QueryBuilder, WorkChainNode

from aiida_edl.data.dataset import DatasetData
from aiida_edl.provenance.graph import called_processes
from aiida_edl.provenance.rows import DefectPoint
from aiida_edl.science.analysis.defect_path import DEFECT_KINDS
from aiida_edl.science.analysis.defect_walk import NO_EVENT, DefectWalk, HopRecord, defect_walk
from aiida_edl.science.analysis.hop_events import EVENT_KINDS
from aiida_edl.science.analysis.trajectory_parts import replica_ranges
from aiida_edl.science.frames import COLUMN_PREFIX, Floats, FrameSet

ASSESSMENT = 'DiffusionAssessmentWorkChain'
"""Process label of what tests and runs one potential."""
CALL_PREFIX = 'assessment_'
"""How the call links of assessments of a study begin; system and model follow."""
OUTPUT_PREFIX = 'analyses__hopping__T'
"""How the links to results of ``edl.hopping`` begin; the temperature follows, its point as an underscore."""

DIGITS = 4
"""Of positions in Å."""


@dataclass(frozen=True)
class _Assessment:
    """One assessment and what it is in its study; empty where it has none."""

    uuid: str
    system: str = ''
    model: str = ''
    family: str = ''


def defect_paths(study: ProcessNode) -> list[DefectPoint]:
    """Return where each defect is since when and by which event, for all runs that count, in their order.

    An event that finds no defect at its source has a row of its own, without a carrier and a place.

    :param study: fine-tuning study, another process that called diffusion assessments, or one of these.
    """
    rows: list[DefectPoint] = []
    for assessment in _assessments(study):
        for temperature, result in _results(assessment.uuid):
            found = _record(result)
            walk = defect_walk(found, *_cells_and_starts(result.creator.inputs.trajectory, found))
            about = {
                'system': assessment.system,
                'model': assessment.model,
                'family': assessment.family,
                'temperature_kelvin': temperature,
                'hopping': result.uuid,
            }
            rows += _points(walk, found, about)
    return rows


def _assessments(study: ProcessNode) -> list[_Assessment]:
    """Return the assessments of a study, by system and model as its comparison names them."""
    if study.process_label == ASSESSMENT:
        return [_Assessment(study.uuid)]
    names = {}
    if 'comparison' in study.outputs:
        for row in study.outputs.comparison.get_dict().get('models', []):
            names[f'{CALL_PREFIX}{row["system"]}_{row["model"]}'] = (row['system'], row['model'], row['family'])
    found = []
    for process in called_processes(study):
        if process.process_label == ASSESSMENT:
            label = process.path[-1]
            system, model, family = names.get(label, ('', label.removeprefix(CALL_PREFIX), ''))
            found.append(_Assessment(process.uuid, system, model, family))
    return sorted(found, key=lambda item: (item.system, item.model, item.uuid))


def _results(assessment: str) -> list[tuple[float, ArrayData]]:
    """Return the results on hopping of an assessment, by temperature [K]."""
    query = QueryBuilder().append(WorkChainNode, filters={'uuid': assessment}, tag='assessment')
    edge = {'type': LinkType.RETURN.value, 'label': {'like': f'{OUTPUT_PREFIX}%'}}
    query.append(ArrayData, with_incoming='assessment', edge_filters=edge, edge_project='label', project='*')
    found = [(float(label.removeprefix(OUTPUT_PREFIX).replace('_', '.')), node) for node, label in query.all()]
    return sorted(found, key=lambda pair: pair[0])


def _record(result: ArrayData) -> HopRecord:
    """Return what a walk follows; of the many arrays of a result these alone are read."""
    names = {field.name for field in dataclasses.fields(HopRecord)}.intersection(result.get_arraynames())
    return HopRecord.from_parts({name: result.get_array(name) for name in names}, result.base.attributes.all)


def _cells_and_starts(trajectory: DatasetData, found: HopRecord) -> tuple[Floats, Floats]:
    """Return mean cell [Å] and first time [fs] of each replica, without reading the atoms."""
    cells = trajectory.get_array('cells')
    n_frames = len(cells)
    frames = FrameSet(
        # One atom stands for all: only the columns tell replicas apart.
        numbers=np.ones(n_frames, dtype=np.uint8),
        positions=np.zeros((n_frames, 3)),
        offsets=np.arange(n_frames + 1),
        cells=cells,
        pbc=np.ones((n_frames, 3), dtype=np.bool_),
        columns={name: trajectory.get_array(f'{COLUMN_PREFIX}{name}') for name in trajectory.columns()},
    )
    ranges = replica_ranges(frames, found.settings)
    means = np.stack([cells[start:stop].mean(axis=0) for start, stop in ranges])
    return means, np.array([frames.columns['time'][start] for start, _ in ranges], dtype=np.float64)


def _points(walk: DefectWalk, found: HopRecord, about: Mapping[str, Any]) -> Iterator[DefectPoint]:
    """Yield the rows of one result, by replica and carrier, those of events without a place last."""
    for row in np.lexsort((np.arange(len(walk.time)), walk.carrier, walk.replica)).tolist():
        x, y, z = (round(float(value), DIGITS) for value in walk.position[row])
        yield DefectPoint(
            **about,
            replica=int(walk.replica[row]),
            carrier=int(walk.carrier[row]),
            kind=DEFECT_KINDS[walk.kind[row]],
            time_fs=float(walk.time[row]),
            x_angstrom=x,
            y_angstrom=y,
            z_angstrom=z,
            is_end=bool(walk.is_end[row]),
            **_event(int(walk.event[row]), found),
        )
    for event in walk.unplaced.tolist():
        yield DefectPoint(
            **about,
            replica=int(found.event_replica[event]),
            carrier=None,
            kind='',
            time_fs=float(found.event_time[event]),
            x_angstrom=None,
            y_angstrom=None,
            z_angstrom=None,
            is_end=False,
            **_event(event, found),
        )


def _event(event: int, found: HopRecord) -> dict[str, Any]:
    """Return the columns on an event."""
    if event == NO_EVENT:
        return {'mechanism': '', 'n_atoms': None}
    return {
        'mechanism': EVENT_KINDS[found.event_kind[event]],
        'n_atoms': int(found.event_length[event]),
    }
