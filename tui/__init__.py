"""The terminal UI. Shows what the parts below report and changes nothing by itself."""
