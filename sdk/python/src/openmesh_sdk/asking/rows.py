"""Rows: JSON objects of listings and records of the log."""

import json
from typing import Any

from openmesh_sdk.errors import UnexpectedReply
from openmesh_sdk.wire.fields import Fields

Row = dict[str, Any]
"""A JSON object of a listing or a record of the log."""


def parse_rows(fields: Fields, at: int = 0) -> list[Row]:
    """Read a list of JSON texts."""
    items = fields.items(at)
    texts = Fields(items, "rows")
    rows = [json.loads(texts.text(index)) for index in range(len(items))]
    if not all(isinstance(row, dict) for row in rows):
        raise UnexpectedReply("a row is no JSON object")
    return rows
