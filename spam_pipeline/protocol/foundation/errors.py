"""The protocol's errors: one tree. Each message says what happened, what was expected, and the way out.

    PipelineError
    ├── WrongPartition      a partition key that its grid does not have
    ├── WrongDefinition     a stage that cannot be what it says (found when it is defined)
    │   └── UnknownStage    a name that is no stage's
    ├── NotPublished        a reader asked for what nobody has published
    ├── Pruned              a version whose data retention has given up
    ├── Held                a stage cannot run now: an input is missing or quarantined
    ├── Claimed             another process is computing the same thing at this moment
    ├── StoreDamaged        a file of the store is missing, or its bytes differ from the digest in its name
    ├── Irreparable         such a file, and computing it again does not lead to its bytes
    ├── LandingChanged      a landed file changed while it was being read
    ├── LandingVanished     none of the known landed files can be found
    ├── PlaceUnusable       the ledger or the store cannot be read or written: nothing else can go on either
    ├── WorkerDiffers       a worker's code, rules, settings or places are not the coordinator's
    ├── LedgerLost          a ledger without any record beside a store that has files
    ├── WrongLedger         the ledger was laid out by another release
    ├── AlreadyDecided      somebody else decided about the same partition meanwhile
    ├── NotPromoted         an environment that cannot be promoted or dropped, or production has moved meanwhile
    ├── UnknownEnvironment  a name that is no environment's
    └── UnknownVersion      a name that matches no version, or several

Errors of a context's own domain live in that context.
"""


class PipelineError(Exception):
    """Something a person can act on; its message is complete without a traceback."""


class WrongPartition(PipelineError):
    """A partition key that its grid does not have."""


class WrongDefinition(PipelineError):
    """A stage that cannot be what it says; raised when it is defined, never when it runs."""


class UnknownStage(WrongDefinition):
    """A name that is no stage's."""


class NotPublished(PipelineError):
    """A reader asked for something that nobody has published."""


class Pruned(PipelineError):
    """A version's data was given up by retention or an erasure; the ledger still knows what it was. Wanted again, it is computed again."""


class Held(PipelineError):
    """A stage cannot run now: an input is missing or quarantined. It resumes by itself once the input is there."""


class Claimed(PipelineError):
    """Another process is computing the same thing at this moment."""


class StoreDamaged(PipelineError):
    """A file of the store is missing, or its bytes differ from the digest in its name; `path` is below the store's root."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} {problem}: spam-pipeline verify --repair computes it again")
        self.path = path


class Irreparable(PipelineError):
    """A file of the store is missing or damaged, and computing it again does not lead to its bytes; people restore it."""


class LandingChanged(PipelineError):
    """A landed file is not the one that was observed; `digest` is that of its bytes, if they were read."""

    def __init__(self, path: str, problem: str, digest: str | None = None) -> None:
        super().__init__(f"{path} {problem}")
        self.path = path
        self.digest = digest


class LandingVanished(PipelineError):
    """None of the known landed files can be found: an unmounted disk, say. Nothing was recorded."""


class PlaceUnusable(PipelineError):
    """The ledger or the store cannot be read or written: damaged, full, or locked. Whatever else would run would meet the same."""


class WorkerDiffers(PipelineError):
    """A worker's code, rules, settings or places are not those of the coordinator that it was to work for; it did nothing."""


class LedgerLost(PipelineError):
    """A ledger without any record beside a store that has files: one of them is not the right one."""


class WrongLedger(PipelineError):
    """The ledger was laid out by another release."""


class AlreadyDecided(PipelineError):
    """Somebody else decided about the same partition meanwhile; nothing was recorded."""


class NotPromoted(PipelineError):
    """Nothing was promoted or dropped: the environment is production itself, has not converged, or production has moved meanwhile."""


class UnknownEnvironment(PipelineError):
    """A name that is no environment's: nothing was ever published there."""


class UnknownVersion(PipelineError):
    """A name that matches no version, or several."""
