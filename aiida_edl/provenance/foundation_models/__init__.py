"""What is known of foundation models, one YAML file a model: the file is named as the registry names the model.

The keys are those of :class:`~aiida_edl.provenance.potential_import.PotentialDescription`. A fact that its authors do
not state is left out, and asked of whoever adds the model.
"""
