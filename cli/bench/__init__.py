"""`nanotape bench`: how fast this machine captures, beside the tools that one would use instead."""
