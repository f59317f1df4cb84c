"""Tests of Rift itself: real processes, sockets and files on loopback addresses, no Docker."""
