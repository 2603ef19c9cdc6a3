"""Models that learn charges from energies and forces: one model a file."""
