"""Transactions as columns, their dependencies as edges, and the cycles among them."""
