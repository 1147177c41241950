"""Where bytes lie: landed files and how they are observed, and the store of immutable files with its reader and writer."""
