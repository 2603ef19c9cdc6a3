"""Codes of environments: registered, looked at, and checked by a training."""
