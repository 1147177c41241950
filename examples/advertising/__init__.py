"""The advertising team: a context of its own with one stage, beside the pipeline in one Dagster workspace."""
