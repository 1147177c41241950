"""Values shared by all wings of the protocol: errors, digests, partition keys, findings, limits. They know no stage and no ledger."""
