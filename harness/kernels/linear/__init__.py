"""Is there one order for the calls on one object? Several searches, chosen by size."""
