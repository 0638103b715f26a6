"""The worst cells of a declared space, looked for through the pipeline: every evaluation is a row of a dataset."""
