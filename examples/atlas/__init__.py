"""The demo of polywire: services as a user would write them. `polywire serve examples/atlas/app.py`."""
