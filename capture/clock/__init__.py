"""The clocks that stamps come from: who disciplines them, how far they can be trusted, and who says so."""
