"""The HTML report: verdict, figures and tables from a dataset."""
