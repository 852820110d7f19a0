"""Dask and Ray: clusters that run trials, started here or found at an address, and whether their workers can."""
