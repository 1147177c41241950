"""The protocol: how versions are named, made, audited, published and found stale. No orchestrator and no domain in here."""
