"""The classical reference model, by LAMMPS ELECTRODE."""
