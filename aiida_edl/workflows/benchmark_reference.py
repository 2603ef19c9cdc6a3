"""The first half of a benchmark: interfaces, reference runs, labels, data set and splits."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from aiida.engine import ToContext
from aiida.orm import Dict, Float, Int, List, Str

from aiida_edl.calculations.exit_codes import has_results
from aiida_edl.calculations.functions.build_interface import build_interface
from aiida_edl.calculations.functions.charge_states import charge_states
from aiida_edl.calculations.functions.fit_atomic_energies import fit_atomic_energies
from aiida_edl.calculations.functions.join_datasets import join_datasets
from aiida_edl.calculations.functions.nested_training_sets import nested_training_sets, size_label
from aiida_edl.calculations.functions.select_frames import select_frames
from aiida_edl.calculations.functions.split_dataset import split_dataset
from aiida_edl.calculations.functions.subtract_electrostatics import subtract_electrostatics
from aiida_edl.calculations.functions.tune_long_range import tune_long_range
from aiida_edl.science.structures.metal_water_interface import InterfaceSettingsError, PackingError
from aiida_edl.workflows.benchmark_models import Model
from aiida_edl.workflows.benchmark_settings import MD_CODE_SUFFIX, BenchmarkSettings
from aiida_edl.workflows.interface_analysis import InterfaceAnalysisWorkChain
from aiida_edl.workflows.labelling import LabellingWorkChain
from aiida_edl.workflows.molecular_dynamics import MolecularDynamicsWorkChain
from aiida_edl.workflows.partial_failures import PartialFailuresMixin


class BenchmarkReferenceMixin(PartialFailuresMixin):
    """To be placed before :class:`~aiida.engine.WorkChain` in the bases of the benchmark."""

    inputs: Any
    out: Any
    submit: Any
    report: Any
    exit_codes: Any

    @cached_property
    def settings(self) -> BenchmarkSettings:
        """The settings as typed values; read once, since checking them looks at every architecture."""
        return BenchmarkSettings.from_dict(self.inputs.settings.get_dict())

    def _options(self, code: str) -> dict[str, Any]:
        """Return the scheduler options of a code: its own, else those of its architecture, else the default."""
        options = self.inputs.options.get_dict() if 'options' in self.inputs else {}
        key = code.removesuffix(MD_CODE_SUFFIX)
        architecture = self.settings.architecture_of(key) if key in self.settings.architectures else key
        names = (code, f'{architecture}{code.removeprefix(key)}', 'default')
        return {'options': next((options[name] for name in names if name in options), {})}

    def build_structures(self) -> Any:
        """Build one interface for each charge state, and draw up their surface charges."""
        self.ctx.structures = {}
        for label, values in self.settings.structures().items():
            try:
                structure = self.call_once(build_interface, f'structure_{label}', settings=Dict(values))
            except (InterfaceSettingsError, PackingError) as error:  # no packmol here, or no arrangement was found
                return self.exit_codes.ERROR_STRUCTURE_NOT_BUILT.format(label=label, detail=error)
            self.ctx.structures[label] = structure
        structures = {f'structure_{label}': node for label, node in self.ctx.structures.items()}
        self.out('charge_states', self.call_once(charge_states, 'charge_states', **structures))
        return None

    def run_reference(self) -> ToContext:
        """Run the reference model at each charge state."""
        settings = self.settings
        children: dict[str, Any] = {}
        for label, replica in settings.reference_runs():
            key = f'reference_md_{label}_{replica:02d}'
            child = self.try_submit(
                MolecularDynamicsWorkChain,
                key,
                md={
                    'structure': self.ctx.structures[label],
                    'frame_index': Int(-1),
                    'engine': Str(settings.reference.engine),
                    'settings': Dict(settings.reference_md(replica)),
                    'model_parameters': Dict(dict(settings.reference.model_parameters)),
                    'code': self.inputs.codes.reference,
                    'metadata': self._options('reference'),
                },
                max_iterations=Int(settings.max_iterations),
                metadata={'call_link_label': key},
            )
            children |= {} if child is None else {key: child}
        self.report(f'running {len(children)} reference trajectories')
        return ToContext(**children)

    def reference_run(self, label: str, replica: int) -> Any:
        """Return a reference run that gave its trajectory; the next one at its charge state if it was lost, or None.

        :param label: charge label.
        :param replica: its number, from 1.
        """
        numbers = range(1, self.settings.reference.replicas + 1)
        for number in (*numbers[replica - 1 :], *numbers[: replica - 1]):
            run = self.ctx.get(f'reference_md_{label}_{number:02d}')
            if run is not None and run.is_finished_ok:
                return run
        return None

    def label_frames(self) -> Any:
        """Choose frames of the reference trajectories and label them; analyse the trajectories themselves.

        A run that failed is left out, with its reason, after all were looked at.
        """
        settings = self.settings
        runs: dict[str, Any] = {}
        for label, replica in settings.reference_runs():
            key = f'{label}_{replica:02d}'
            run = self.ctx.get(f'reference_md_{key}')
            if run is not None and not run.is_finished_ok:
                self.note_failed_child(run, f'reference run {key}, which is left out')
            elif run is not None:
                runs[key] = (run, settings.selection(label, replica))
        if not runs:
            return self.exit_codes.ERROR_NO_REFERENCE.format(failures='; '.join(self.failures))
        children: dict[str, Any] = {}
        for key, (run, selection) in runs.items():
            children |= self._label(key, run, selection)
            child = self.try_submit(
                InterfaceAnalysisWorkChain,
                f'reference_analysis_{key}',
                trajectory=run.outputs.trajectory,
                settings=Dict(settings.analysis),
                **self._analysis_inputs(run),
                metadata={'call_link_label': f'reference_analysis_{key}'},
            )
            children |= {} if child is None else {f'reference_analysis_{key}': child}
        return ToContext(**children)

    def _label(self, key: str, run: Any, selection: dict[str, Any]) -> dict[str, Any]:
        """Return the labelling of frames of a reference run by its name; nothing if they cannot be chosen.

        :param key: charge label and number of the run.
        :param run: the run, finished.
        :param selection: how its frames are chosen.
        """
        settings, name = self.settings, f'labelling_{key}'
        inputs = {'dataset': run.outputs.trajectory, 'settings': Dict(selection)}
        frames = self.try_call(select_frames, f'choice of frames of {key}', f'select_frames_{key}', **inputs)
        if frames is None:
            return {}
        child = self.try_submit(
            LabellingWorkChain,
            name,
            dataset=frames,
            engine=Str(settings.labelling.engine),
            code=self.inputs.codes.reference,
            model_parameters=Dict(dict(settings.reference.model_parameters)),
            gate=Dict(dict(settings.labelling.gate)),
            frames_per_job=Int(settings.labelling.frames_per_job),
            max_failed_fraction=Float(settings.labelling.max_failed_fraction),
            options=Dict(self._options('reference')['options']),
            metadata={'call_link_label': name},
        )
        return {} if child is None else {name: child}

    def _analysis_inputs(self, run: Any) -> dict[str, Any]:
        """Return which further analyses of a reference run are asked for, and the series that they may take."""
        if not (asked := self.settings.analyses):
            return {}
        series = {'series': run.outputs.series} if 'series' in run.outputs else {}
        return {'analyses': {name: Dict(dict(values)) for name, values in asked.items()}, **series}

    def assemble_dataset(self) -> Any:
        """Join the labels of all charge states and split them for each training set."""
        parts = self._collect_labels()
        asked, states = self._training_sets(parts)
        if not states:
            return self.exit_codes.ERROR_NO_REFERENCE.format(failures='; '.join(self.failures))
        used = {f'dataset_{key}': node for label in states for key, node in parts[label].items()}
        self.ctx.dataset = self.try_call(join_datasets, 'joining of the labels', 'join_datasets', **used)
        if self.ctx.dataset is None:
            return self.exit_codes.ERROR_LABELS_NOT_USABLE.format(failures='; '.join(self.failures))
        self.out('dataset', self.ctx.dataset)
        whole = {name: split for name in asked if (split := self._split(name)) is not None}
        if not whole:
            return self.exit_codes.ERROR_NO_TRAINING_SET.format(failures='; '.join(self.failures))
        of_fit = {name: whole[name] for name in self.settings.sets_of_atomic_energies() if name in whole} or whole
        inputs = {'dataset': self.ctx.dataset, **of_fit}
        self.ctx.atomic_energies = self.try_call(
            fit_atomic_energies, 'fit of the atomic energies', 'fit_atomic_energies', **inputs
        )
        if self.ctx.atomic_energies is None:
            return self.exit_codes.ERROR_LABELS_NOT_USABLE.format(failures='; '.join(self.failures))
        self._prepare_long_range(of_fit)
        self.ctx.splits = self._splits_of_all_sizes(whole)
        for name, split in self.ctx.splits.items():
            self.out(f'splits.{name}', split)
        return None

    def _prepare_long_range(self, of_fit: dict[str, Any]) -> None:
        """Tune the sums beside the potentials, and fit atomic energies to what is left of the labels.

        :param of_fit: splits to whose training frames they are fitted.
        """
        self.ctx.long_range = {}
        for key, part in sorted(self.settings.architectures.items()):
            if not part.long_range:
                continue
            request = Dict(dict(part.long_range))
            name = f'electrostatics of {key}, whose potentials are left out'
            self.ctx.long_range[key] = self._prepared(key, name, request, of_fit)

    def _prepared(self, key: str, name: str, request: Dict, of_fit: dict[str, Any]) -> dict[str, Any] | None:
        """Return ``long_range`` and ``atomic_energies`` of the trainings of an architecture; None if a step failed."""
        dataset = self.ctx.dataset
        tuned = self.try_call(tune_long_range, name, f'tune_long_range_{key}', dataset=dataset, settings=request)
        if tuned is None:
            return None
        long_range, link = tuned['long_range'], f'subtract_electrostatics_{key}'
        rest = self.try_call(subtract_electrostatics, name, link, dataset=dataset, long_range=long_range)
        if rest is None:
            return None
        energies = self.try_call(fit_atomic_energies, name, f'fit_atomic_energies_{key}', dataset=rest, **of_fit)
        return None if energies is None else {'long_range': long_range, 'atomic_energies': energies}

    def _collect_labels(self) -> dict[str, dict[str, Any]]:
        """Take what labelling and analysis of each reference run gave; what failed is left out, with its reason.

        :return: labelled frames by charge label, then by charge label and number of the run.
        """
        parts: dict[str, dict[str, Any]] = {}
        for label, replica in self.settings.reference_runs():
            key = f'{label}_{replica:02d}'
            labelled, analysed = self.ctx.get(f'labelling_{key}'), self.ctx.get(f'reference_analysis_{key}')
            if labelled is not None and 'rejected' in labelled.outputs:
                self.out(f'rejected.{key}', labelled.outputs.rejected)
            is_labelled = labelled is not None and has_results(labelled.exit_status) and 'dataset' in labelled.outputs
            if labelled is not None and not is_labelled:
                self.note_failed_child(labelled, f'labelling of {key}, which is left out')
            elif is_labelled and self._fills_blocks(key, labelled.outputs.dataset.n_frames):
                parts.setdefault(label, {})[key] = labelled.outputs.dataset
            if analysed is not None and not analysed.is_finished_ok:
                self.note_failed_child(analysed, f'reference_analysis_{key}')
            if analysed is not None and has_results(analysed.exit_status):
                self.out(f'profiles.reference_{key}', analysed.outputs.profiles)
                self._take_analyses(analysed, f'reference_{key}')
        return parts

    def _take_analyses(self, analysed: Any, key: str) -> None:
        """Give the further analyses of a reference run as outputs."""
        for name, result in analysed.outputs.analyses.items() if 'analyses' in analysed.outputs else []:
            self.out(f'analyses.{name}.{key}', result)

    def _fills_blocks(self, key: str, n_frames: int) -> bool:
        """Return whether the labels of a run can be cut into the blocks of the split; remember if they cannot."""
        n_blocks = self.settings.split.n_blocks
        if n_frames < n_blocks:
            self.note_failure(f'labels of {key}, which are left out ({n_frames} frames for {n_blocks} blocks)')
        return n_frames >= n_blocks

    def _training_sets(self, parts: dict[str, dict[str, Any]]) -> tuple[list[str], list[str]]:
        """Return the training sets of whose charge states there are labels, and these charge states.

        :param parts: labelled frames by charge label and run.
        :return: names of the sets, and charge labels.
        """
        settings, split = self.settings, self.settings.split
        needed, left = split.n_validation + split.n_test + 1, []
        for label in map(settings.label, settings.charge_states):
            n_frames = sum(node.n_frames for node in parts.get(label, {}).values())
            if n_frames >= needed:
                left.append(label)
            else:
                self.note_failure(f'charge state {label}, which is left out ({n_frames} labels, {needed} are needed)')
        asked = []
        for name in settings.training_sets:
            absent = [label for label in settings.labels_of(name) if label not in left]
            if not absent:
                asked.append(name)
            else:
                self.note_failure(
                    f'training set {name}, which is left out (there are no labels at {", ".join(absent)})'
                )
        return asked, left

    def _split(self, name: str) -> Any:
        """Return the split of a training set; None if it cannot be filled, which is remembered."""
        inputs = {'dataset': self.ctx.dataset, 'settings': Dict(self.settings.split_settings(name))}
        return self.try_call(split_dataset, f'training set {name}, which is left out', f'split_{name}', **inputs)

    def _splits_of_all_sizes(self, whole: dict[str, Any]) -> dict[str, Any]:
        """Return the split of each training set and size by its name; smaller sets are parts of the whole one.

        :param whole: split of each training set.
        """
        settings, splits = self.settings, {}
        smaller = [size for size, is_largest in settings.sizes() if not is_largest]
        for name, split in whole.items():
            nested: dict[str, Any] = {}
            if smaller:
                inputs = {'sizes': List(smaller), 'seed': Int(settings.split.seed)}
                inputs |= {'dataset': self.ctx.dataset, 'split': split}
                what = f'smaller training sets of {name}, which are left out'
                nested = self.try_call(nested_training_sets, what, f'smaller_sets_{name}', **inputs) or {}
            for size, is_largest in settings.sizes():
                model = Model('', name, 0, size, is_largest)
                if is_largest or size_label(size) in nested:
                    splits[model.set_name] = split if is_largest else nested[size_label(size)]
        return splits
