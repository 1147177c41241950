"""The contents of report pages, computed from a month's frames: records for the page builder, and Markdown for the orchestrator.

Pages are rendered in `spam_pipeline.pages`; their data come from `spam_pipeline.reporting.month` and the stages.
"""
