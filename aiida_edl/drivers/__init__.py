"""Programs that run on the compute node: file in, file out."""
