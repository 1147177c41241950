"""Ingestion: landed files become plays and reference data. Operational trouble ends here and reaches no other context."""
