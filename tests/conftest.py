"""What holds for every test."""

import os
import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """A shell's background job ignores SIGINT, and so would each process that a test starts there to interrupt it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def leases_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs of the tests beside these, or of the user, are neither swept here nor sweep what a test looks at."""
    os.environ["RIFT_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("leases"))
