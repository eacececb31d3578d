"""`tradesense bench`: the same operations over several adapters of one room, side by side."""
