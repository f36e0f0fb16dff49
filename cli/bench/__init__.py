"""`nanotape bench`: how fast this machine captures, beside the tools that one would use instead."""

from nanotape.cli.bench.verb import bench

__all__ = ["bench"]
