"""A process that creates or migrates the databases of a home, and ends: what it imports is gone with it."""

import sys

from evergreen.errors import EvergreenError
from evergreen.settings import Settings


def _main() -> None:
    from evergreen.stages.open import connect

    try:
        connect(Settings.from_environment())
    except EvergreenError as error:
        sys.exit(f"evergreen: {error}")


if __name__ == "__main__":
    _main()
