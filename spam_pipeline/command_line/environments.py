"""Printing what was promoted from an environment, or dropped with it."""

from spam_pipeline.command_line.terminal import out, print_json
from spam_pipeline.operations.pipeline import Pipeline


def print_promotion(by: str, *, as_json: bool) -> None:
    """Promote the environment, and print what production publishes now and what was held back."""
    pipeline = Pipeline()
    promoted = pipeline.promote(by)
    if as_json:
        moved = [{"stage": item.stage, "partition": item.partition} for item in promoted.publications]
        print_json({"promoted": moved, "held": list(promoted.held)})
        return
    out.print(f"promoted {len(promoted.publications)} partitions of {pipeline.settings.environment} to production")
    for place in promoted.held:
        out.print(f"held, and not promoted: {place}")


def print_drop(*, as_json: bool) -> None:
    """Drop the environment, and print how many partitions that were its own."""
    pipeline = Pipeline()
    dropped = pipeline.drop()
    if as_json:
        print_json({"dropped": dropped})
    else:
        out.print(f"dropped {dropped} partitions of {pipeline.settings.environment}: it reads production again")
