"""A music platform in miniature: listeners, attacks, honest behaviour that resembles them, and imperfect deliveries.

It shares nothing with the pipeline but the documented format of the landing zone.
"""

from spam_pipeline.simulation.simulate import SCENARIOS, Simulated, simulate

__all__ = ["SCENARIOS", "Simulated", "simulate"]
