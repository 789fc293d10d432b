"""The JSON schema of the configuration, for editors."""

from typing import Any

from selfdistill.config.methods import method_model
from selfdistill.config.objectives import objectives
from selfdistill.config.schema import Config


def json_schema() -> dict[str, Any]:
    """The JSON schema of config.yaml and of the files laid over it, for editors (so no key is required)."""
    schema = Config.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    blocks: dict[str, Any] = {}
    for objective in objectives():
        block = method_model(objective).model_json_schema()
        definitions |= block.pop("$defs", {})
        blocks |= block["properties"]
    blocks["like"] = {"type": "string", "description": "another method, whose keys this one copies"}
    block = {"type": "object", "additionalProperties": False, "properties": blocks}
    schema["properties"] |= {"defaults": block, "methods": {"type": "object", "additionalProperties": block}}
    return _without_required(schema)


def _without_required(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_required(item) for key, item in value.items() if key not in ("required", "default")}
    return [_without_required(item) for item in value] if isinstance(value, list) else value
