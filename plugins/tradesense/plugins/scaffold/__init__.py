"""Writes the first version of a provider plugin: a whole distribution whose tests pass as written."""

from tradesense.plugins.scaffold.writing import ROOMS, write

__all__ = ("ROOMS", "write")
