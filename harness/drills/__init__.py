"""Failover drills: the same exercise again and again, measured and summed up."""
