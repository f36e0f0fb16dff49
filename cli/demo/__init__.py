"""`nanotape demo`: the product's story in under a minute, on this machine, with every packet accounted for."""

from nanotape.cli.demo.verb import demo

__all__ = ["demo"]
