"""The plugin side: what a plugin offers, and how the platform finds and loads it."""

from tradesense.plugins.hookspecs import hookimpl
from tradesense.plugins.manifest import PORT_API, Adapter, AdapterContext, NoSettings, Requirement

__all__ = ("PORT_API", "Adapter", "AdapterContext", "NoSettings", "Requirement", "hookimpl")
