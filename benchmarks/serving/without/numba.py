"""In the way of the real one, for a server that is to do without it."""

raise ModuleNotFoundError("numba is left out of this process", name="numba")
