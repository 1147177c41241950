"""What operates the engine for people and for contexts: the pipeline as a whole, issuing, explaining, statement files, converging with reports to Dagster."""
