"""Readers and writers, one file a format; each reader is told what the file means and refuses what cannot be right."""
