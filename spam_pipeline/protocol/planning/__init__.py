"""What is wanted and what is published: the state of the ledger, and how each partition compares with it. Pure, except for reading the ledger."""
