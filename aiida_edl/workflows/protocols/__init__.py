"""Named sets of inputs."""
