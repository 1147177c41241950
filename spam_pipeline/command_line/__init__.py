"""The command line `spam-pipeline`: commands, what they print, and the demo. Nothing is decided here."""
