"""The demo of polywire: three services as a user would write them. `polywire serve examples/atlas/app.py`."""
