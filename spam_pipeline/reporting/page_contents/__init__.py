"""What stands on the pages of reports, computed from a month's frames: records for the page builder, and Markdown for the orchestrator.

How pages look is in `spam_pipeline.pages`; what is counted is in `spam_pipeline.reporting.month` and in the stages.
"""
