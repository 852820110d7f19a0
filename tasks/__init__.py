"""One stage a file: Prefect's policy around one call into the library."""

import logging

# Prefect sends what stages say to the run's page, but leaves the level of these loggers at warnings; and the process of
# a run passes no other place before the first stage.
logging.getLogger("evergreen").setLevel(logging.INFO)
