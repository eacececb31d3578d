"""HTTP: what the rooms offer, over JSON.

A request goes through three layers: :mod:`.observe` gives it its names and measures it, :mod:`.front` refuses what no
route would take, and Litestar routes the rest to the rooms' modules. Nothing is imported here, as the command line
must not pay for a server that it does not start.
"""
