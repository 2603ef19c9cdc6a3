"""Environments of the trainers: what is installed in each, as data, and how it is installed. No AiiDA."""
