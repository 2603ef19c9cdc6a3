"""Programs of density-functional theory: what they are told, as plain text from plain values."""
