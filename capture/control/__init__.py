"""Steering a running service: a Unix socket for each ring, JSON lines, and who may use it."""
