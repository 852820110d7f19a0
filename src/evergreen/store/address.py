"""Where `evergreen.address` was before."""

from evergreen.address import redacted as redacted
from evergreen.address import sqlite_file as sqlite_file
from evergreen.address import with_driver as with_driver
