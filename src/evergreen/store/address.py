"""The old place of `evergreen.address`."""

from evergreen.address import redacted

__all__ = ["redacted"]
