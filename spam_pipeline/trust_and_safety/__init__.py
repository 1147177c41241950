"""Trust & safety decides which plays are spam, how sure it is, and why; what others do with that is theirs to say."""
