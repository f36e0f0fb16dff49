"""The control plane of capture and the reader of rings. Imports native and config, nothing above."""
