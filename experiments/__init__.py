"""The networks of notebook 11: any number of trainings, and what is measured on each. Nothing imports it."""
