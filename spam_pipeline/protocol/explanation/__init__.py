"""Explanations: causes of staleness, root causes of changes, comparisons of versions. They read the ledger and decide nothing."""
