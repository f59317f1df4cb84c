"""Every error Rift raises on purpose, in one tree.

    RiftError                 exit code 3: the harness or its environment failed
    +-- UsageError            exit code 4: the command line or a file of yours is wrong
    |   +-- PluginError       a target, workload, fault, checker, renderer or suite file does not load
    +-- TestbedError          a process, address, mount or link server could not be had
    |   +-- NotReady          a node was started but never answered
    |   +-- MissingPower      this machine or testbed cannot do what the plan asks
    +-- StoreError            a run's folder cannot be written or read
    OperationError            what a client raises instead of answering
    +-- Refused               it certainly did not happen: recorded as ``fail``
    +-- Unsure                nobody knows: recorded as ``info``

A message names the file, field or node, shows the value, and ends with what to do.
"""

from __future__ import annotations


class RiftError(Exception):
    """The harness or its environment failed; nothing is known about the system under test."""

    exit_code = 3


class UsageError(RiftError):
    """What the user wrote cannot be carried out as written."""

    exit_code = 4


class PluginError(UsageError):
    """A plugin file does not load or lacks what its kind must have; the message names the file."""


class TestbedError(RiftError):
    """A process, address, mount or link server could not be had."""

    # pytest would otherwise try to collect a class whose name starts with "Test".
    __test__ = False


class NotReady(TestbedError):
    """A node was started but did not become ready in time; the message ends with its last log lines."""


class MissingPower(TestbedError):
    """This machine or testbed lacks a power that the plan needs; a suite skips with this reason."""


class StoreError(RiftError):
    """A run's folder cannot be written or read."""


class OperationError(Exception):
    """A client could not answer; the subclass says whether the operation can have taken effect."""


class Refused(OperationError):
    """The operation certainly did not happen and never will. Raise it only when that is sure."""


class Unsure(OperationError):
    """The operation may have happened, or may still happen. Any surprise counts as this."""
