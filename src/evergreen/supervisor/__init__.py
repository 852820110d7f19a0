"""Everything on one machine: servers and workers as child processes that are watched and started again."""
