"""Where nodes live: processes on this machine (``local``), with everything they need to be found and ended."""
