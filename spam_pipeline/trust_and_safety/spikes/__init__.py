"""Spikes of tracks with far more plays than ever before, and the evidence for a release or for an attack.

`evidence` measures suspects while a day is audited; `clues` weighs the evidence by a stated policy; `findings` detects spikes and
words the findings, `groups` does so for tracks that are attacked together. Acting on a finding is left to the protocol.
"""

from spam_pipeline.trust_and_safety.spikes.evidence import evidence_of_tracks
from spam_pipeline.trust_and_safety.spikes.findings import spike_findings

__all__ = ["evidence_of_tracks", "spike_findings"]
