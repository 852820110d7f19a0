"""Types of flow parameters that an orchestrator's form shows as more than a line of text."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from evergreen.settings import Settings


def spec_names(configs: Path) -> list[str]:
    """The specs in a folder, by name; none where there is no such folder.

    >>> spec_names(Path("nowhere"))
    []
    """
    return sorted(path.stem for path in configs.glob("*.yaml"))


class _OneOfTheSpecs:
    """Makes a JSON schema list the specs that are there when it is made, which is when a flow is deployed."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found, names = handler(schema), spec_names(Settings.from_environment().configs)
        # A list without choices would refuse everything, also what a spec that is still to come will be called.
        return {**found, "enum": names} if names else dict(found)


# What runs checks the name itself, against the specs that are there when it runs.
ModelName = Annotated[str, Field(min_length=1), _OneOfTheSpecs()]
