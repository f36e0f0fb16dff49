"""The control plane of capture and the reader of rings. Imports `nanotape.native` and `nanotape.config`, nothing above them."""
