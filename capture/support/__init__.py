"""What an engineer asks for when something is wrong on a host, gathered in one file."""
