"""The base class of every part of the configuration."""

from pydantic import BaseModel, ConfigDict


class Block(BaseModel):
    """A part of the configuration: no unknown keys, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
