"""Which answers are marked for the sake of their labels, so that those come back whatever was predicted."""

from hashlib import blake2b

from evergreen.serving.reader import Rows

_ALL = 2**64


def explored_of(asked: Rows, request: str, share: float) -> list[bool]:
    """A mark for each row: by the caller's name of it, so that every request of a row has one or none, else by request.

    Not by the checksum that capture goes by: with another salt that is the same number but for a shift, and explored
    rows would be captured all or never.
    """
    whole = is_explored(request, share)
    return [whole if name is None else is_explored(name, share) for name in asked.ids]


def is_explored(name: str, share: float) -> bool:
    """True for a share of all names, which says nothing of other shares of them.

    >>> is_explored("c7", 1.0), is_explored("c7", 0.0)
    (True, False)
    """
    digest = blake2b(name.encode(), digest_size=8, person=b"explored").digest()
    return int.from_bytes(digest) < share * _ALL
