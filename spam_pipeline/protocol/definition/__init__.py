"""Declarations of a team: stages with their inputs, contracts, retries and deliveries, and the graph they form. No data is read."""
