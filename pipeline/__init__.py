"""pipeline: studies in, Parquet and HTML out."""
