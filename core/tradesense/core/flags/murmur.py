"""MurmurHash3, x86, 32 bits, seed 0, for those who have no compiled one. The result is the same."""

from __future__ import annotations

_C1, _C2, _MASK = 0xCC9E2D51, 0x1B873593, 0xFFFFFFFF
_WORD = 4


def encoded(text: str) -> bytes:
    """The UTF-8 form of ``text``, lone surrogates as they are: any text has one."""
    return text.encode("utf-8", "surrogatepass")


def murmur3(data: bytes) -> int:
    """The hash of ``data``: 0 to 2^32 - 1."""
    tail = len(data) // _WORD * _WORD
    value = 0
    for at in range(0, tail, _WORD):
        value ^= _mixed(int.from_bytes(data[at : at + _WORD], "little"))
        value = (value << 13 | value >> 19) & _MASK
        value = (value * 5 + 0xE6546B64) & _MASK
    if tail < len(data):
        value ^= _mixed(int.from_bytes(data[tail:], "little"))
    value ^= len(data)
    value = ((value ^ value >> 16) * 0x85EBCA6B) & _MASK
    value = ((value ^ value >> 13) * 0xC2B2AE35) & _MASK
    return value ^ value >> 16


def _mixed(word: int) -> int:
    word = (word * _C1) & _MASK
    word = (word << 15 | word >> 17) & _MASK
    return (word * _C2) & _MASK
