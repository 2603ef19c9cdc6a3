"""How each MLIP is told what to do, and read back."""
