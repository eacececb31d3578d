"""What a platform has left behind in its database and its cache, and in which forms a secret may stand there."""

from __future__ import annotations

import base64
import json
import subprocess
from urllib.parse import quote, quote_plus

import binaries
import redis


def forms(text):
    """How a value may stand somewhere: as it is, in a URL, in JSON, in hexadecimal, in base64 wherever it begins."""
    data = text.encode()
    found = {data, text[:30].encode(), quote(text, safe="").encode(), quote_plus(text).encode(), data.hex().encode()}
    found |= {json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    for before in range(3):
        whole = base64.b64encode(b"x" * before + data)
        inner = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def hits(place, canaries):
    """Which canaries stand in these bytes."""
    return [text for text in canaries if any(form in place for form in forms(text))]


def dumped(url):
    """Everything that the PostgreSQL database holds, as statements."""
    return subprocess.run([binaries.postgres("pg_dump"), "--inserts", url], capture_output=True, check=True).stdout


def cached(url):
    """Everything that the cache's server holds."""
    with redis.Redis.from_url(url) as client:
        client.set("tests:always", "something")
        read = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
            b"stream": client.xrange,
        }
        return b"".join(key + b"=" + flat(read[client.type(key)](key)) for key in client.scan_iter())


def flat(value):
    """The bytes of an answer, however it is nested."""
    if isinstance(value, bytes):
        return value + b"\n"
    if isinstance(value, dict):
        value = value.items()
    return b"".join(map(flat, value)) if hasattr(value, "__iter__") else f"{value}\n".encode()
