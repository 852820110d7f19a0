"""One function a stage of a run: handles in, handles out. The only rooms that join the others are this and `cli`."""
