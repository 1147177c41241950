"""The ledger: the append-only record of observations, attempts, versions, audits and publications, and of what came from what.

Other wings use `Ledger` and the `records`; the other modules hold its tables and queries.
"""

from spam_pipeline.protocol.ledger.ledger import Ledger

__all__ = ["Ledger"]
