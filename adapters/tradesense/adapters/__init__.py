"""Adapters: one package per provider, one module per room it serves."""
