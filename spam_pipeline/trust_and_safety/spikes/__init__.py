"""Spam attack, or did somebody release a track? Tracks with far more plays than they ever had, and what speaks for which.

`evidence` gathers what is known of suspects while a day is measured; `clues` weighs it by a stated policy; `findings` says what is a
spike and words what was found, `groups` does so for tracks that are attacked together. Who acts on a finding is the protocol's matter.
"""

from spam_pipeline.trust_and_safety.spikes.evidence import evidence_of_tracks
from spam_pipeline.trust_and_safety.spikes.findings import spike_findings

__all__ = ["evidence_of_tracks", "spike_findings"]
