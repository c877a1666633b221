"""Runs of receipts: a changed one leads to another root or is no run."""

import json
from pathlib import Path
from typing import Any

import pytest

from openmesh_sdk.errors import Malformed
from openmesh_sdk.wire.cbor import decode
from openmesh_sdk.wire.frames import HEADER_BYTES
from openmesh_sdk.wire.receipt import Receipt

VECTORS = Path(__file__).parents[3] / "spec" / "vectors" / "frames.json"
FIRST, HEIGHT, EDGES, RECEIPTS = 2, 3, 4, 5


def run() -> list[Any]:
    frames = json.loads(VECTORS.read_text())["server"]
    (frame,) = [frame["bytes"] for frame in frames if "receipts" in frame["frame"]]
    body = decode(bytes.fromhex(frame)[HEADER_BYTES:])
    assert isinstance(body, list)
    items = body[1]
    assert isinstance(items, list)
    return items


def test_a_run_gives_each_receipt_one_root() -> None:
    receipts = [receipt for _, receipt in Receipt.of_run(run())]
    assert len({receipt.root for receipt in receipts}) == 1
    assert all(receipt.verifies(str(receipt.node)) for receipt in receipts)


def test_a_receipt_that_was_changed_is_not_signed() -> None:
    duplicate, moved = run(), run()
    duplicate[RECEIPTS][0][1][4] = True
    moved[FIRST] -= 1
    for changed in (duplicate, moved):
        assert not any(receipt.verifies(str(receipt.node)) for _, receipt in Receipt.of_run(changed))


@pytest.mark.parametrize(("place", "value"), [(FIRST, 1 << 30), (HEIGHT, 1), (HEIGHT, 21), (EDGES, []), (RECEIPTS, [])])
def test_what_does_not_fit_is_no_run(place: int, value: object) -> None:
    changed = run()
    changed[place] = value
    with pytest.raises(Malformed):
        Receipt.of_run(changed)
