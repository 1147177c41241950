"""The process beside a convergence that reports to the Dagster instance. Nothing else belongs here.

Run as a program: that keeps the orchestrator, which is slow to load, out of the process that converges, and lets the import
contracts see that this one module of the room reaches it.
"""

import sys

from spam_pipeline.protocol import PipelineError


def main() -> None:
    """Report what the convergence publishes, until it ends; an error of ours is one line."""
    from spam_pipeline.orchestration.event_reporting import report_from_standard_input  # noqa: PLC0415 - see above

    try:
        report_from_standard_input()
    except PipelineError as problem:
        sys.exit(f"{problem}")


if __name__ == "__main__":
    main()
