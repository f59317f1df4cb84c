"""Families of checkers, one file each with its ``FAMILY``; see :class:`harness.certify.contract.Family`."""
