"""Rollouts as columns, and the rules of waves over them."""
