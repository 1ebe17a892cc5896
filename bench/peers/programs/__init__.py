"""The clients that are measured. All but `ours` run in a peer's environment, and import nothing of ours."""
