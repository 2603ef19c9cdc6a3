"""Queries, reports and archives."""
