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

    def _failed(self, child: Any) -> Any:
        return self.exit_codes.ERROR_SUB_PROCESS_FAILED.format(
            process=f'{child.process_label}<{child.pk}>', status=child.exit_status, detail=child.exit_message
        )

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
        children = {}
        for label, replica in settings.reference_runs():
            children[f'reference_md_{label}_{replica:02d}'] = self.submit(
                MolecularDynamicsWorkChain,
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
                metadata={'call_link_label': f'reference_md_{label}_{replica:02d}'},
            )
        self.report(f'running {len(children)} reference trajectories')
        return ToContext(**children)

    def label_frames(self) -> Any:
        """Choose frames of the reference trajectories and label them; analyse the trajectories themselves."""
        settings = self.settings
        children = {}
        for label, replica in settings.reference_runs():
            key = f'{label}_{replica:02d}'
            run = self.ctx[f'reference_md_{key}']
            if not run.is_finished_ok:
                return self._failed(run)
            frames = self.call_once(
                select_frames,
                f'select_frames_{key}',
                dataset=run.outputs.trajectory,
                settings=Dict(settings.selection(label, replica)),
            )
            children[f'labelling_{key}'] = self.submit(
                LabellingWorkChain,
                dataset=frames,
                engine=Str(settings.labelling.engine),
                code=self.inputs.codes.reference,
                model_parameters=Dict(dict(settings.reference.model_parameters)),
                gate=Dict(dict(settings.labelling.gate)),
                frames_per_job=Int(settings.labelling.frames_per_job),
                max_failed_fraction=Float(settings.labelling.max_failed_fraction),
                options=Dict(self._options('reference')['options']),
                metadata={'call_link_label': f'labelling_{key}'},
            )
            children[f'reference_analysis_{key}'] = self.submit(
                InterfaceAnalysisWorkChain,
                trajectory=run.outputs.trajectory,
                settings=Dict(settings.analysis),
                **self._analysis_inputs(run),
                metadata={'call_link_label': f'reference_analysis_{key}'},
            )
        return ToContext(**children)

    def _analysis_inputs(self, run: Any) -> dict[str, Any]:
        """Return which further analyses of a reference run are asked for, and the series that they may take."""
        if not (asked := self.settings.analyses):
            return {}
        series = {'series': run.outputs.series} if 'series' in run.outputs else {}
        return {'analyses': {name: Dict(dict(values)) for name, values in asked.items()}, **series}

    def _take_analyses(self, child: str, key: str) -> None:
        """Give the further analyses of a reference run as outputs; remember if one found nothing."""
        analysed = self.ctx[child]
        if not analysed.is_finished_ok:
            self.note_failed_child(analysed, child)
        for name, result in analysed.outputs.analyses.items() if 'analyses' in analysed.outputs else []:
            self.out(f'analyses.{name}.{key}', result)

    def assemble_dataset(self) -> Any:
        """Join the labels of all charge states and split them for each training set."""
        settings = self.settings
        parts = {}
        for label, replica in settings.reference_runs():
            key = f'{label}_{replica:02d}'
            for child in (self.ctx[f'labelling_{key}'], self.ctx[f'reference_analysis_{key}']):
                if not has_results(child.exit_status):
                    return self._failed(child)
            parts[f'dataset_{key}'] = self.ctx[f'labelling_{key}'].outputs.dataset
            self.out(f'rejected.{key}', self.ctx[f'labelling_{key}'].outputs.rejected)
            self.out(f'profiles.reference_{key}', self.ctx[f'reference_analysis_{key}'].outputs.profiles)
            self._take_analyses(f'reference_analysis_{key}', f'reference_{key}')
        self.ctx.dataset = self.call_once(join_datasets, 'join_datasets', **parts)
        whole = {
            name: self.call_once(
                split_dataset, f'split_{name}', dataset=self.ctx.dataset, settings=Dict(settings.split_settings(name))
            )
            for name in settings.training_sets
        }
        of_fit = {name: whole[name] for name in settings.sets_of_atomic_energies()}
        self.ctx.atomic_energies = self.call_once(
            fit_atomic_energies, 'fit_atomic_energies', dataset=self.ctx.dataset, **of_fit
        )
        self.ctx.splits = self._splits_of_all_sizes(whole)
        self.out('dataset', self.ctx.dataset)
        for name, split in self.ctx.splits.items():
            self.out(f'splits.{name}', split)
        return None

    def _splits_of_all_sizes(self, whole: dict[str, Any]) -> dict[str, Any]:
        """Return the split of each training set and size by its name; smaller sets are parts of the whole one.

        :param whole: split of each training set.
        """
        settings, splits = self.settings, {}
        smaller = [size for size, is_largest in settings.sizes() if not is_largest]
        for name, split in whole.items():
            nested = {}
            if smaller:
                nested = self.call_once(
                    nested_training_sets,
                    f'smaller_sets_{name}',
                    dataset=self.ctx.dataset,
                    split=split,
                    sizes=List(smaller),
                    seed=Int(settings.split.seed),
                )
            for size, is_largest in settings.sizes():
                model = Model('', name, 0, size, is_largest)
                splits[model.set_name] = split if is_largest else nested[size_label(size)]
        return splits
