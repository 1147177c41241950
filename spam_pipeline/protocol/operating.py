"""Operating an engine over stages: planning, running, deciding, comparing, promoting, and reading the ledger.

The door for the orchestrator, the room of operations and the command line; contexts stay out of it.
"""

from spam_pipeline.protocol.definition.contract import audits_against_history
from spam_pipeline.protocol.definition.graph import AnyStage, Expected, StageGraph
from spam_pipeline.protocol.definition.retry import Retry
from spam_pipeline.protocol.definition.selection import Selection
from spam_pipeline.protocol.execution.adoption import SAMPLE, Adopted, adopt
from spam_pipeline.protocol.execution.convergence import Converged, Touched, converge
from spam_pipeline.protocol.execution.course import Course
from spam_pipeline.protocol.execution.decision import (
    ONLY_ACCEPTED_TOGETHER,
    Decided,
    decide,
    decide_all_matching,
)
from spam_pipeline.protocol.execution.decision_document import WrongDecision, require_name, require_reason
from spam_pipeline.protocol.execution.engine import Engine, open_engine
from spam_pipeline.protocol.execution.executor import Batch, Executor, PartitionResult, divided
from spam_pipeline.protocol.execution.lateness import late_partitions
from spam_pipeline.protocol.execution.outcome import ActionTaken, Failure, Outcome, format_error
from spam_pipeline.protocol.execution.outlook import LateInShort, NotFresh, Outlook, outlook
from spam_pipeline.protocol.execution.overview import Overview
from spam_pipeline.protocol.execution.plan import Planned, PlannedTogether, cost_of, grouped, plan, total_cost
from spam_pipeline.protocol.execution.processes import Processes, cores
from spam_pipeline.protocol.execution.promotion import Promoted, Promotion, drop, promote, promotion
from spam_pipeline.protocol.execution.pruning import GRACE, Forgotten, Pruning, StagePruning, forget, prune
from spam_pipeline.protocol.execution.retention import (
    EVERY_STAGE,
    KeptFor,
    Retention,
    RetentionByStage,
    retention_of,
)
from spam_pipeline.protocol.execution.running import audit_now, run, run_partition
from spam_pipeline.protocol.execution.stops import CONVERGING, OBSERVING, Stop, noting_stop, stops
from spam_pipeline.protocol.execution.verifying import Verified, verify
from spam_pipeline.protocol.execution.worker import work
from spam_pipeline.protocol.explanation.causes import Cause
from spam_pipeline.protocol.explanation.comparison import ComparedPartition, Comparison, Side, compare
from spam_pipeline.protocol.explanation.comparison.figures import Move, Shift
from spam_pipeline.protocol.explanation.comparison.rows import Rows
from spam_pipeline.protocol.explanation.comparison.text import (
    comparison_lines,
    comparison_to_json,
    format_difference,
    format_example,
    format_number,
    format_rows,
    format_shifts,
    format_significance,
)
from spam_pipeline.protocol.explanation.comparison.versions import (
    NEWEST,
    PUBLISHED,
    Pair,
    pairs_of_code,
    pairs_of_environments,
    resolve,
)
from spam_pipeline.protocol.explanation.waiting import (
    Waiting,
    decide_command,
    place_of,
    shell_command,
    what_readers_have,
)
from spam_pipeline.protocol.foundation.errors import (
    AlreadyDecided,
    Claimed,
    Held,
    LedgerLost,
    NotPromoted,
    PlaceUnusable,
    UnknownEnvironment,
    UnknownStage,
    UnknownVersion,
    WorkerDiffers,
    WrongDefinition,
)
from spam_pipeline.protocol.foundation.finding import (
    CategoryShift,
    finding_lines,
    finding_to_json,
    finding_without_names,
)
from spam_pipeline.protocol.foundation.limit import breaches
from spam_pipeline.protocol.foundation.near_names import did_you_mean
from spam_pipeline.protocol.foundation.progress import OnProgress, no_progress
from spam_pipeline.protocol.ledger import Ledger
from spam_pipeline.protocol.ledger.adoption_log import Adoption
from spam_pipeline.protocol.ledger.claims import Claims
from spam_pipeline.protocol.ledger.costs import Cost
from spam_pipeline.protocol.ledger.notice_log import Notice, Subject
from spam_pipeline.protocol.ledger.publication_spans import PointerChange, pointer_changes
from spam_pipeline.protocol.ledger.recipe import InputRef
from spam_pipeline.protocol.ledger.records import (
    PRODUCTION,
    Attempts,
    Audit,
    Decision,
    DecisionKind,
    EnvironmentSummary,
    Observation,
    Publication,
    Verdict,
    VersionSummary,
)
from spam_pipeline.protocol.ledger.search import FoundRow, rows_with
from spam_pipeline.protocol.planning.deadlines import Late
from spam_pipeline.protocol.planning.partition_status import PartitionStatus, PartitionStatuses, Reason, State
from spam_pipeline.protocol.planning.quarantine import Quarantine, Quarantined, quarantine
from spam_pipeline.protocol.planning.staleness import StalenessReport, watermark
from spam_pipeline.protocol.storage.cache_room import CACHE_BYTES, CacheRoom
from spam_pipeline.protocol.storage.journal import JOURNAL
from spam_pipeline.protocol.storage.landed_copies import LandedCopies
from spam_pipeline.protocol.storage.landed_rows import land_rows
from spam_pipeline.protocol.storage.landing_zone import FileState, LandingZone
from spam_pipeline.protocol.storage.observation import PASSED_OVER
from spam_pipeline.protocol.storage.store import Store

__all__ = [
    "CACHE_BYTES",
    "CONVERGING",
    "EVERY_STAGE",
    "GRACE",
    "JOURNAL",
    "NEWEST",
    "OBSERVING",
    "ONLY_ACCEPTED_TOGETHER",
    "PASSED_OVER",
    "PRODUCTION",
    "PUBLISHED",
    "SAMPLE",
    "ActionTaken",
    "Adopted",
    "Adoption",
    "AlreadyDecided",
    "AnyStage",
    "Attempts",
    "Audit",
    "Batch",
    "CacheRoom",
    "CategoryShift",
    "Cause",
    "Claimed",
    "Claims",
    "ComparedPartition",
    "Comparison",
    "Converged",
    "Cost",
    "Course",
    "Decided",
    "Decision",
    "DecisionKind",
    "Engine",
    "EnvironmentSummary",
    "Executor",
    "Expected",
    "Failure",
    "FileState",
    "Forgotten",
    "FoundRow",
    "Held",
    "InputRef",
    "KeptFor",
    "LandedCopies",
    "LandingZone",
    "Late",
    "LateInShort",
    "Ledger",
    "LedgerLost",
    "Move",
    "NotFresh",
    "NotPromoted",
    "Notice",
    "Observation",
    "OnProgress",
    "Outcome",
    "Outlook",
    "Overview",
    "Pair",
    "PartitionResult",
    "PartitionStatus",
    "PartitionStatuses",
    "PlaceUnusable",
    "Planned",
    "PlannedTogether",
    "PointerChange",
    "Processes",
    "Promoted",
    "Promotion",
    "Pruning",
    "Publication",
    "Quarantine",
    "Quarantined",
    "Reason",
    "Retention",
    "RetentionByStage",
    "Retry",
    "Rows",
    "Selection",
    "Shift",
    "Side",
    "StageGraph",
    "StagePruning",
    "StalenessReport",
    "State",
    "Stop",
    "Store",
    "Subject",
    "Touched",
    "UnknownEnvironment",
    "UnknownStage",
    "UnknownVersion",
    "Verdict",
    "Verified",
    "VersionSummary",
    "Waiting",
    "WorkerDiffers",
    "WrongDecision",
    "WrongDefinition",
    "adopt",
    "audit_now",
    "audits_against_history",
    "breaches",
    "compare",
    "comparison_lines",
    "comparison_to_json",
    "converge",
    "cores",
    "cost_of",
    "decide",
    "decide_all_matching",
    "decide_command",
    "did_you_mean",
    "divided",
    "drop",
    "finding_lines",
    "finding_to_json",
    "finding_without_names",
    "forget",
    "format_difference",
    "format_error",
    "format_example",
    "format_number",
    "format_rows",
    "format_shifts",
    "format_significance",
    "grouped",
    "land_rows",
    "late_partitions",
    "no_progress",
    "noting_stop",
    "open_engine",
    "outlook",
    "pairs_of_code",
    "pairs_of_environments",
    "place_of",
    "plan",
    "pointer_changes",
    "promote",
    "promotion",
    "prune",
    "quarantine",
    "require_name",
    "require_reason",
    "resolve",
    "retention_of",
    "rows_with",
    "run",
    "run_partition",
    "shell_command",
    "stops",
    "total_cost",
    "verify",
    "watermark",
    "what_readers_have",
    "work",
]
