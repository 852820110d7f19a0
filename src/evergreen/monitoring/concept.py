"""Did customers change, or what they do? Concept drift told from data drift, in words."""

from collections.abc import Sequence

from evergreen.store.window import Window


def explain(window: Window, earlier: Sequence[Window] = ()) -> str:
    """What moved in a window, for people who own the product; `earlier` are the windows before it, in any order."""
    return ""
