"""One calcfunction a module."""
