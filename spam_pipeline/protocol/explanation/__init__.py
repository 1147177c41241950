"""Why something is stale or two versions differ: causes, root causes and comparisons. Reads what the ledger remembers; decides nothing."""
