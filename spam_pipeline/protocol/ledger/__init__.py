"""The ledger: what was observed, tried, computed, audited and published, and which data came from which.

`ledger` is what everybody else uses; `state` keeps what planning needs of it up to date; the other modules are how it lies in
a database.
"""

from spam_pipeline.protocol.ledger.ledger import Ledger

__all__ = ["Ledger"]
