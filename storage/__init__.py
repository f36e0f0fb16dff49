"""Recorder, segments, archive and query. Reading an archive needs neither `nanotape.native` nor `nanotape.capture`."""
