"""Many runs against each other: the matrix, its order, and what comes of it.

The room has a name of its own, since `ccnb.compare` is the function.
"""
