"""Ingestion: landed files become plays and reference data. Malformed input stops here and reaches no other context."""
