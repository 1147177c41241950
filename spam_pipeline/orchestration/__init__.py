"""The Dagster layer: adapters from stages and the ledger to assets, events and resources. Nothing in here decides."""
