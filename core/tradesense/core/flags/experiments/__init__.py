"""Experiments: what the counts of exposures and conversions say."""
