"""Query parameters that several rooms take. Litestar holds to bounds on the parameter, not to those of a type."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from tradesense.core.paging import MAX_CURSOR, MAX_PAGE

_END = r"(?![\s\S])"
"""Unlike ``$`` it is not before a line's end as well; unlike ``\\Z`` OpenAPI's dialect has it."""

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="How many at most.")]

Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=MAX_CURSOR, pattern=f"^[!-~]+{_END}", description="From the page before; without one, the beginning."
    ),
]

Flagged = Annotated[bool, QueryParameter()]

Text = Annotated[str, QueryParameter(max_length=MAX_CURSOR, pattern=rf"^[^\x00-\x1f\x7f]*{_END}")]
"""What is compared with something that we keep."""
