"""The asset `waiting_for_decision`: what is quarantined or waits for files, what follows from that, and where it is decided.

A convergence materializes it with what it left; materializing it by hand looks again. It computes nothing and changes nothing.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from spam_pipeline.dagster_links import decision_path, evidence_path
from spam_pipeline.orchestration.asset_keys import UNPREFIXED, AssetKeys
from spam_pipeline.orchestration.assets import ENGINE
from spam_pipeline.orchestration.automation import CONVERGENCE, OWNER
from spam_pipeline.pages.markdown import as_text
from spam_pipeline.protocol.operating import Engine, Overview, Waiting

WAITING = "waiting_for_decision"
"""The name of the asset."""

_SHOWN = 100


def waiting_asset(keys: AssetKeys = UNPREFIXED) -> dg.AssetsDefinition:
    """The asset over the engine of the run's resources."""

    @dg.asset(
        key=keys.key(WAITING),
        group_name=CONVERGENCE,
        owners=[OWNER],
        kinds={"dagster"},
        deps=[keys.key(CONVERGENCE)],
        description=(
            "What waits for somebody: quarantined versions and files that have not landed. Its metadata has the reason, who owns it, what "
            "consumers have meanwhile, the evidence and the launchpad that decides."
        ),
        required_resource_keys={ENGINE},
    )
    def waiting_for_decision(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        engine: Engine = context.resources.engine
        return dg.MaterializeResult(metadata=_metadata(Overview.of(engine).waiting, keys))

    return waiting_for_decision


def waiting_materialization(found: Sequence[Waiting], keys: AssetKeys = UNPREFIXED) -> dg.AssetMaterialization:
    """The asset's materialization with what was found to wait."""
    return dg.AssetMaterialization(keys.key(WAITING), metadata=_metadata(found, keys))


def _metadata(found: Sequence[Waiting], keys: AssetKeys) -> dict[str, Any]:
    shown = [_item(item, keys) for item in found[:_SHOWN]]
    rest = [f"- and {len(found) - _SHOWN} more: `spam-pipeline waiting`"] if len(found) > _SHOWN else []
    text = "\n".join([*shown, *rest]) or "nothing waits for anybody"
    return {"waiting": dg.MetadataValue.md(text), "partitions": len(found)}


def _item(item: Waiting, keys: AssetKeys) -> str:
    """An item of a list: a table with all of it is wider than the page."""
    since = f" since {item.since:%Y-%m-%d %H:%M} UTC" if item.since else ""
    decide = as_text(item.command)
    if item.decision:
        decide = f"[{item.decision[0].value} it]({decision_path(*item.decision)})"
    lines = (
        f"- **{as_text(item.place)}**, of {as_text(item.owner)}, waits{since}: {as_text(item.why)}",
        f"  - what follows: {as_text(item.consequence)}",
        f"  - [evidence]({evidence_path(item, keys.prefix)})" + (f", {decide}" if decide else ""),
    )
    return "\n".join(lines)
