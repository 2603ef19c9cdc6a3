"""One observable a module."""
