"""The JSON Schema of scenario files, made from the model; `schema.json` beside this file is what is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scenarios.language.model import Host, Scenario

PUBLISHED = Path(__file__).with_name("schema.json")


def schema() -> dict[str, Any]:
    found = Scenario.model_json_schema(by_alias=True)
    named = found["properties"]["hosts"]["anyOf"][2]["additionalProperties"]["anyOf"]
    named[0] = Host.model_json_schema(by_alias=True)
    networks = found["properties"]["networks"]
    whole = {
        "type": "object",
        "additionalProperties": {"anyOf": [networks.pop("additionalProperties"), {"type": "null"}]},
    }
    del networks["type"]
    networks["anyOf"] = [{"type": "array", "items": {"type": "string"}}, whole]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://shoal.example/scenario.schema.json",
        **found,
        "title": "A shoal scenario",
    }


def text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
