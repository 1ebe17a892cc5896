"""Many runs under random faults; `python -m tests.torture --help`."""
