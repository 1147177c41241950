"""A music platform in miniature: listeners, attacks, honest behaviour that looks like one, and imperfect deliveries.

It knows nothing of the pipeline but the documented format of the landing zone.
"""

from spam_pipeline.simulation.simulate import SCENARIOS, Simulated, simulate

__all__ = ["SCENARIOS", "Simulated", "simulate"]
