"""Values that every wing of the protocol speaks in: errors, digests, partition keys, findings, limits. They know nothing of stages or of the ledger."""
