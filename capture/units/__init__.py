"""systemd units of a configuration: which files, what they say, whether they are in place. Starts and stops nothing."""
