"""The cache over HTTP: what it has done, and what is no longer to be served."""

from __future__ import annotations

import pytest

from tradesense.core.cache.models import CacheStats

PATH = "/api/v1/cache/invalidate"


def test_the_counts_of_this_process_are_told(admin):
    stats = admin.get("/api/v1/cache/stats").json()
    assert set(stats) == set(CacheStats.__struct_fields__)
    assert stats["backend_up"] is True
    assert stats["pending"] == 0


@pytest.mark.parametrize("body", [{"keys": ["n:k"]}, {"tags": ["red"]}, {"keys": ["n:k"], "tags": ["red", "blue"]}])
def test_keys_and_tags_are_invalidated(admin, body):
    answer = admin.post(PATH, json=body)
    assert (answer.status_code, answer.json()) == (200, {"removed": 0, "pending": False})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"keys": [], "tags": []},
        {"keys": [""]},
        {"keys": ["nul\0"]},
        {"keys": ["x" * 10_240]},
        {"tags": ["x" * 512]},
        {"tags": [7]},
        {"keys": ["k"] * 1001},
        {"names": ["k"]},
    ],
    ids=lambda body: str(body)[:20],
)
def test_what_cannot_be_invalidated_is_refused(admin, body):
    answer = admin.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_it_is_for_those_who_may(person, anyone):
    assert anyone.get("/api/v1/cache/stats").status_code == 401
    assert person.get("/api/v1/cache/stats").status_code == 403
