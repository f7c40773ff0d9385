"""Settings shared by all tests."""

from hypothesis import settings

# The first call of a kernel may start threads, so single examples have no deadline; pytest has a timeout.
settings.register_profile("fastcodes", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("fastcodes")
