"""Problems as they stand in frames."""

from openmesh_sdk.problem import AllowedNext, Problem
from openmesh_sdk.wire.cbor import Item
from openmesh_sdk.wire.fields import Fields


def read_problem(item: Item) -> Problem:
    """Read a problem."""
    fields = Fields(item, "a problem")
    return Problem(
        code=fields.text(0),
        detail=fields.text(1),
        pointer=fields.optional_text(2),
        state=fields.optional_text(3),
        allowed_next=tuple(_allowed_next(one) for one in fields.items(4)),
        retry_after_ms=fields.optional_uint(5),
    )


def _allowed_next(item: Item) -> AllowedNext:
    fields = Fields(item, "an allowed act")
    return AllowedNext(fields.text(0), fields.optional_text(1), fields.optional_text(2))
