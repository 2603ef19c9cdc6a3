"""How each MD code is told what to do, and read back."""
