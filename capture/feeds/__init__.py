"""What feeds say: sequences and send times of packet headers, and what is missing of them, read natively by batches."""
