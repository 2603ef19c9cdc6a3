"""Builders of structures."""
