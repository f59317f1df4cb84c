"""Evidence that the checkers are right: the work of ``rift certify``.

A *family* is what one model of ``rift check`` judges. A file in ``families`` is a family, a file in ``evidence`` a kind
of evidence, and every kind is gathered for every family:

    oracle      small random histories, judged by the checker and by a slow judge that tries everything
    mutation    a good system's history with one anomaly planted: the checker must find it
    laws        other names, other times, more valid reads: the verdict must stay
    simulated   systems of chosen isolation: the strong one must pass, the weak one must be caught
    recorded    histories of real systems with known verdicts, from a folder

``oracles`` holds the slow judges, which share no code with the checkers, and ``systems`` the simulated systems.
"""
