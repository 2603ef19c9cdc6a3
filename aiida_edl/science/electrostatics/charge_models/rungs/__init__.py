"""The rungs of the ladder: how atoms get charges, one a file."""
