"""What all configs share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Domain = Literal["source", "target"]
Direction = Literal["source_to_target", "target_to_source"]


class Config(BaseModel):
    """Base of all configs: immutable, strict about names, saved as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
