"""Configuration that changes while the platform runs. What is fixed at start is ``tradesense.settings``."""

from tradesense.core.config.models import Setting
from tradesense.core.config.ports import SettingsStore

__all__ = ("Setting", "SettingsStore")
