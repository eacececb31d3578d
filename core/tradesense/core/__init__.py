"""The domain of TradeSense: pure models, ports and services. It imports the standard library and msgspec, no more."""
