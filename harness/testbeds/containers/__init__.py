"""Nodes as containers: the Docker engine, its networks and images, and everything that keeps it clean.

Loaded only when a run or command asks for it: the local testbed needs no Docker, and no library for it.
"""
