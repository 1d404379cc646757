"""The suites: one folder for each protocol, run by pytest with the kit's plugin."""
