"""The command ``aiida-edl``."""
