"""Simulated systems, from strong to weak: what a checker must tell apart."""
