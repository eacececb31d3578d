"""An OpenFeature provider: it evaluates in the process of a service, by definitions that a server streams.

``pip install 'tradesense[openfeature]'``, then::

    from openfeature import api
    from tradesense.entrypoints.openfeature import TradeSenseProvider

    api.set_provider_and_wait(TradeSenseProvider("https://flags.example.com", key=lambda: key))
"""

from tradesense.entrypoints.openfeature.provider import TradeSenseProvider

__all__ = ("TradeSenseProvider",)
