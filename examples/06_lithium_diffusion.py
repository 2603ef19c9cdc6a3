"""How many labels does a small foundation model need to diffuse Li through LiF as its teacher would?

A teacher stands for DFT: GFN1-xTB, or a potential such as 7net-0. A small MACE that learnt crystals and metal near rest
from it is the foundation model. Frames of hot crystals with and without defects, labelled by the teacher, are the
labelled set; the study compares the foundation model as it is, fine-tuned on part of the set, fine-tuned on frames that
it finds itself, and MACE from scratch::

    make lithium-study

``lithium/run.sh`` has the single steps: codes of MACE and of the teacher, the daemon, and this program::

    python examples/06_lithium_diffusion.py --size small --teacher 7net-0 --teacher-code sevenn-python

Without ``--teacher`` the labels are by GFN1-xTB. Every step is a labelled process of the daemon: called again, the
program takes what has finished, waits for what runs, and goes on. The report is written to ``--output``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from aiida import load_profile
from aiida.engine import submit
from aiida.orm import (
    ArrayData,
    Bool,
    Dict,
    Int,
    List,
    ProcessNode,
    QueryBuilder,
    Str,
    WorkChainNode,
    load_code,
    load_node,
)

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.build_lithium_fluoride import build_lithium_fluoride
from aiida_edl.calculations.functions.collect_frames import collect_frames
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.provenance.fine_tuning_report import write_fine_tuning_report
from aiida_edl.workflows.fine_tuning_study import FineTuningStudyWorkChain
from aiida_edl.workflows.iterative_fine_tuning import IterativeFineTuningWorkChain
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.launch_fine_tuning import study_settings
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.single_point.ase_calculator.recipes import gfn1_xtb
from aiida_edl.workflows.training import TrainingWorkChain

SIZES = Path(__file__).parent / 'lithium' / 'sizes.yaml'
DEFECTS = ('none', 'interstitial', 'vacancy')
MACE = {'batch_size': 4, 'learning_rate': 0.02}
"""Hyperparameters that differ from the protocol fast, the same for all MACE here."""
MD = {'time_step': 2.0, 'relaxation_time': 100.0, 'maximum_temperature': 4000.0}
ENGINE = 'torch_sim'
"""Runs all replicas of a study at a temperature in one job."""
CRYSTALS = ((3.9, 0.05), (4.03, 0.05), (4.03, 0.12), (4.2, 0.08))
"""Lattice constants and displacements of the crystals that the foundation model knows [Å]."""
OPTIONS = {'environment_variables': {'OMP_NUM_THREADS': '1'}}
FRAMES_PER_JOB = 25
"""Frames that a job labels: a minute or less, so that jobs share the cores."""
POLL_SECONDS = 10.0


class Example:
    """The steps of the example, each with what came of those before."""

    def __init__(self, size: str, teacher: PotentialData | None, code: str, teacher_code: str) -> None:
        """Keep what all steps share."""
        self.size: Mapping[str, Any] = yaml.safe_load(SIZES.read_text())[size]
        self.prefix = f'lithium {size} by {"GFN1-xTB" if teacher is None else teacher.label}'
        self.code, self.teacher, self.teacher_code = load_code(code), teacher, load_code(teacher_code)

    def begin(self, name: str, process: Any, **inputs: Any) -> ProcessNode:
        """Return the process of a step: the one that has finished or runs, else a new one."""
        label = f'{self.prefix}: {name}'
        query = QueryBuilder().append(WorkChainNode, filters={'label': label}, tag='node')
        query.order_by({'node': {'ctime': 'desc'}})
        known = [node for node in query.all(flat=True) if not node.is_terminated or _has_results(node)]
        node = known[0] if known else submit(process, **inputs, metadata={'label': label})
        if not node.is_terminated:
            print(f'{label}: <{node.pk}>', flush=True)
        return node

    def process(self, name: str, process: Any, **inputs: Any) -> ProcessNode:
        """Return the process of a step after its end."""
        return _finished(self.begin(name, process, **inputs))

    def labelling(self) -> dict[str, Any]:
        """Return how frames are labelled."""
        inputs = {
            'engine': Str('ase_calculator'),
            'code': self.teacher_code,
            'options': Dict(OPTIONS),
            'frames_per_job': Int(FRAMES_PER_JOB),
        }
        if self.teacher is not None:
            return {**inputs, 'potential': self.teacher}
        return {**inputs, 'model_parameters': Dict(gfn1_xtb())}

    def label(self, name: str, frames: DatasetData) -> DatasetData:
        """Return frames labelled by the teacher."""
        return self.process(f'labels of {name}', LabellingWorkChain, dataset=frames, **self.labelling()).outputs.dataset

    def cells(self, defect: str, n_frames: int, **settings: Any) -> DatasetData:
        """Return cells of the size of the study."""
        wished = {'defect': defect, 'repeat': self.size['repeat'], 'n_frames': n_frames, 'displacement': 0.02}
        return build_lithium_fluoride(Dict({**wished, **settings}))

    def training(self, gradient_updates: int) -> dict[str, Any]:
        """Return the inputs that trainings of MACE share."""
        values = TrainingWorkChain.get_protocol_hyperparameters('mace', 'fast', MACE)
        return {
            'architecture': Str('mace'),
            'hyperparameters': Dict(values),
            'precision': Str('float32'),
            'seed': Int(1),
            'gradient_updates': Int(gradient_updates),
            'code': self.code,
            'metadata': {'options': OPTIONS},
        }

    def foundation(self) -> PotentialData:
        """Return a small MACE that knows crystals near rest, squeezed and stretched."""
        size = self.size['foundation']
        parts = {
            f'part_{number}': build_lithium_fluoride(
                Dict(
                    {
                        'repeat': [1, 1, 1],
                        'n_frames': size['n_frames'] // 4,
                        'displacement': displacement,
                        'lattice_constant': lattice_constant,
                        'seed': number,
                    }
                )
            )
            for number, (lattice_constant, displacement) in enumerate(CRYSTALS)
        }
        frames = self.label('crystals', join_datasets(**parts))
        n_frames = frames.n_frames
        parts = {'method': 'groups', 'group_by': 'geometry', 'n_validation': n_frames // 10, 'n_test': n_frames // 4}
        split = split_dataset(frames, Dict({**parts, 'seed': 1}))
        self.replay = frames, split
        node = self.process(
            'foundation model',
            TrainingWorkChain,
            training={
                **self.training(size['gradient_updates']),
                'dataset': frames,
                'split': split,
                'elements': List(['Li', 'F']),
                'atomic_energies': fit_atomic_energies(frames, split=split),
            },
        )
        return node.outputs.potential

    def reference_model(self, foundation: PotentialData) -> PotentialData:
        """Return a model that found its frames itself: good enough to run the crystals from which frames are taken."""
        size = self.size['rounds']
        begin = self.label('rattled cells', self.cells('interstitial', 4, displacement=0.1, seed=100))
        node = self.process(
            'rounds of the reference model',
            IterativeFineTuningWorkChain,
            parent_potential=foundation,
            dataset=begin,
            split=ArrayData({'training': _indices(()), 'validation': _indices(()), 'test': _indices(range(4))}),
            structures={defect: self.cells(defect, 2, seed=10) for defect in DEFECTS},
            settings=Dict(
                {
                    'exploration': {'temperatures': self.size['reference']['temperatures']},
                    'selection': {'n_selected': size['n_selected']},
                    'stop': {'force_error': 0.02, 'rounds': 1},
                    'maximum_rounds': size['maximum_rounds'],
                }
            ),
            training={**self.training(size['gradient_updates']), 'fine_tuning': Dict({'mode': 'naive'})},
            md=self.md({'steps': size['steps'], 'sampling_interval': 20}),
            labelling=self.labelling(),
        )
        return node.outputs.potentials[sorted(node.outputs.potentials)[-1]]

    def md(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of runs."""
        return {
            'engine': Str(ENGINE),
            'settings': Dict({**MD, **settings}),
            'code': self.code,
            'metadata': {'options': OPTIONS},
        }

    def labelled_set(self, model: PotentialData) -> tuple[DatasetData, ArrayData]:
        """Return labelled frames of hot crystals, and a split that tests on runs of which no frame is learnt.

        Keeps frames with an interstitial, from which all models are run: in a cell as it is built, the atoms around it
        are so near to each other that a run begins with a blow.
        """
        size, runs, columns = self.size['reference'], {}, {}
        for number, temperature in enumerate(size['temperatures']):
            for place, defect in enumerate(DEFECTS):
                for replica in (1, 2):
                    label, seed = f'{defect}_{temperature:.0f}_{replica}', 100 * number + 10 * place + replica
                    length = {name: size[name] for name in ('steps', 'sampling_interval')}
                    md = self.md({**length, 'temperature': temperature, 'seed': seed, 'equilibration_steps': 100})
                    runs[label] = self.begin(
                        f'dynamics {label}',
                        MolecularDynamicsWorkChain,
                        md={**md, 'structure': self.cells(defect, 1, seed=seed), 'potential': model},
                        skip_parity_check=Bool(True),
                    )
                    columns[label] = {'defect': defect, 'temperature': temperature}
        ended = {label: _ended(node) for label, node in runs.items()}
        trajectories = {label: node.outputs.trajectory for label, node in ended.items() if _has_results(node)}
        for node in (node for label, node in ended.items() if label not in trajectories):
            print(f'left out: {_outcome(node)}', flush=True)
        if not trajectories:
            raise SystemExit('no run of the reference model reached its end; give it more rounds')
        used = {label: columns[label] for label in trajectories}
        frames = collect_frames(settings=Dict({'columns': used}), **trajectories)
        wished = self.size['frames']
        begin = {'method': 'random', 'seed': 2, 'stratify_by': 'defect', 'shares': {'interstitial': 1.0}}
        self.beginnings = select_frames(frames, Dict({**begin, 'n_frames': self.size['study']['runs']['replicas']}))
        selection = {'method': 'random', 'seed': 1, 'stratify_by': 'temperature+defect'}
        chosen = select_frames(frames, Dict({**selection, 'n_frames': sum(wished.values())}))
        labelled = self.label('hot crystals', chosen)
        n_test = wished['n_test']
        parts = {'method': 'groups', 'group_by': 'group', 'n_validation': n_test // 3, 'n_test': n_test, 'seed': 1}
        return labelled, split_dataset(labelled, Dict(parts))

    def families(self) -> dict[str, Any]:
        """Return the families of models."""
        study = self.size['study']
        mace = {
            'hyperparameters': MACE,
            'protocol': 'fast',
            'seeds': study['seeds'],
            'gradient_updates': study['gradient_updates'],
        }
        labelled = {**mace, 'strategy': 'labelled_frames', 'n_frames': study['n_frames']}
        rounds = study['rounds']
        return {
            'zero_shot': {'strategy': 'zero_shot', 'start': 'foundation'},
            'naive': {**labelled, 'start': 'foundation'},
            'scratch_mace': {**labelled, 'architecture': 'mace'},
            'own': {
                **mace,
                'strategy': 'own_frames',
                'start': 'foundation',
                'rounds': {
                    'selection': {'n_selected': rounds['n_selected']},
                    'stop': {'force_error': 0.02, 'rounds': 1},
                    'maximum_rounds': rounds['maximum_rounds'],
                },
                'exploration': {'steps': rounds['steps'], 'sampling_interval': 20},
            },
        }

    def study(self, foundation: PotentialData, frames: DatasetData, split: ArrayData) -> ProcessNode:
        """Return the study."""
        overrides = {'families': self.families(), 'engine': ENGINE, 'runs': self.size['study']['runs']}
        settings = study_settings('fast', overrides)
        settings['md'] = {**MD, **self.size['study']['md']}
        replay, replay_split = self.replay
        return self.process(
            'study',
            FineTuningStudyWorkChain,
            settings=Dict(settings),
            dataset=frames,
            split=split,
            foundations={'foundation': foundation},
            replay_dataset=replay,
            replay_split=replay_split,
            structures={'interstitial': self.beginnings},
            codes={'default': self.code},
            options=Dict({'default': OPTIONS}),
            labelling=self.labelling(),
        )


def main() -> None:
    """Go through all steps, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', default='tiny', choices=list(yaml.safe_load(SIZES.read_text())))
    parser.add_argument('--teacher', default='', help='label of a potential as teacher; GFN1-xTB without it')
    parser.add_argument('--code', default='engines-python', help='code of MACE (default engines-python)')
    parser.add_argument('--teacher-code', default='engines-python', help='code of the teacher (default engines-python)')
    parser.add_argument('--output', type=Path, help='folder of the report (default results/lithium_SIZE)')
    arguments = parser.parse_args()

    load_profile()
    teacher = load_node(label=arguments.teacher) if arguments.teacher else None
    example = Example(arguments.size, teacher, arguments.code, arguments.teacher_code)
    foundation = example.foundation()
    frames, split = example.labelled_set(example.reference_model(foundation))
    study = example.study(foundation, frames, split)
    output = arguments.output or Path(f'results/lithium_{arguments.size}')
    print(write_fine_tuning_report(study, output).sentence)


def _indices(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=np.int64)


def _ended(node: ProcessNode) -> ProcessNode:
    """Return a process after its end."""
    while not node.is_terminated:
        time.sleep(POLL_SECONDS)
        node = load_node(node.pk)
    return node


def _finished(node: ProcessNode) -> ProcessNode:
    """Return a process after its end; stops the program if it has no results."""
    node = _ended(node)
    if not _has_results(node):
        raise SystemExit(_outcome(node))
    return node


def _outcome(node: ProcessNode) -> str:
    return f'{node.label} <{node.pk}>: exit status {node.exit_status}: {node.exit_message}'


def _has_results(node: ProcessNode) -> bool:
    return bool(node.is_finished and has_results(node.exit_status))


if __name__ == '__main__':
    main()
