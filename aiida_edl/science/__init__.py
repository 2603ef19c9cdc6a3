"""Physics without AiiDA: numpy, scipy and ase."""
