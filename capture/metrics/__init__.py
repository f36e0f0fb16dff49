"""What a running service tells Prometheus: the same facts as `nanotape status`, over HTTP, on loopback unless told."""
