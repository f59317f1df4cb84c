"""Links: every path between two regions, its control and the embedded server that shapes it."""
