"""The protocol's errors: one tree, each message saying what, expected, got, and the way out.

    PipelineError
    ├── WrongPartition      a partition key that its grid does not have
    ├── WrongDefinition     a stage that cannot be what it says (found when it is defined)
    ├── NotPublished        a reader asked for what nobody has published
    ├── Held                a stage cannot run now: an input is missing or quarantined
    ├── Claimed             another process is computing the same thing at this moment
    ├── StoreDamaged        a file of the store is missing, or its bytes differ from the digest in its name
    ├── LandingChanged      a landed file changed while it was being read
    ├── LandingVanished     no landed file is to be found where some were known
    ├── WrongLedger         the ledger was laid out by another release
    ├── AlreadyDecided      somebody else decided about the same partition meanwhile
    └── UnknownVersion      no version is meant by what was given as one

Errors of a context's own domain live in that context.
"""


class PipelineError(Exception):
    """Something a person can act on; its message is complete without a traceback."""


class WrongPartition(PipelineError):
    """A partition key that its grid does not have."""


class WrongDefinition(PipelineError):
    """A stage that cannot be what it says; raised when it is defined, never when it runs."""


class NotPublished(PipelineError):
    """A reader asked for something that nobody has published."""


class Held(PipelineError):
    """A stage cannot run now: an input is missing or quarantined. It goes on by itself once that is there."""


class Claimed(PipelineError):
    """Another process is computing the same thing at this moment."""


class StoreDamaged(PipelineError):
    """A file of the store is missing, or its bytes differ from the digest in its name."""


class LandingChanged(PipelineError):
    """A landed file changed while it was being read; the next observation sees the new bytes."""


class LandingVanished(PipelineError):
    """No landed file is to be found where some were known: an unmounted disk, say. Nothing was recorded."""


class WrongLedger(PipelineError):
    """The ledger was laid out by another release."""


class AlreadyDecided(PipelineError):
    """Somebody else decided about the same partition meanwhile; nothing was recorded."""


class UnknownVersion(PipelineError):
    """No version is meant by what was given as one."""
