"""Which champions nobody went back from: what a rollback without a target is reckoned from."""

from collections.abc import Iterable


def standing(crowned: Iterable[tuple[int, bool]]) -> tuple[int, ...]:
    """Champions that nobody went back from, the present one last, of (version, gone back to) in order of time.

    A promotion lays its version on top of the others; a rollback takes everything off the one it went back to. So that
    two rollbacks in a row go back two champions, and not back and forth.

    >>> standing([(3, False), (4, False), (5, False), (4, True)])
    (3, 4)
    >>> standing([(3, False), (4, False), (3, True), (4, True)])
    (3, 4)
    """
    stack: list[int] = []
    for version, returned in crowned:
        if returned and version in stack:
            while stack[-1] != version:
                stack.pop()
        elif stack[-1:] != [version]:
            stack.append(version)
    return tuple(stack)
