"""Kinds of evidence, one file each; see :class:`harness.certify.contract.Evidence`."""
