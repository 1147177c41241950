"""Planning: the state of the ledger, and the status of each partition by it. Pure, except for reading the ledger."""
