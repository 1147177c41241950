"""What a team declares: stages, what they read, their contracts, retries and deliveries, and the graph that these make. No data is read here."""
