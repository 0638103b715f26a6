"""Where process trees come from: listings that people made of their machines."""
