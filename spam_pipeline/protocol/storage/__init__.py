"""Storage: landed files and their observation, and the store of immutable files with its reader and writer."""
