"""AiiDA plugin for machine-learning interatomic potentials of charged metal/electrolyte interfaces."""

__version__ = '0.1.0'
