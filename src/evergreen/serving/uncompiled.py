"""Why a pipeline, or a part of it, is served as it is."""


class NotCompilable(Exception):  # noqa: N818 - no error: the pipeline itself serves
    """There is no faster way to compute this that is known to give the same answers."""
