"""A real server in a thread, with clients that polywire did not write around it."""
