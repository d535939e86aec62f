"""Deadlines of the HAProxy under test, in seconds; short, so that the tests are."""

HELLO, QUERY, CONNECT = 0.4, 2.0, 0.5
QUICKLY = 1.0
"""What the platform does without waiting for anything takes less."""
